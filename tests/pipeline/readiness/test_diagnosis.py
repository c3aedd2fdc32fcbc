"""Candidates of atoms: groups, exclusions, and causes that one pod must show by itself."""

from typing import Any

from pipeline.contract.facts import CERTAIN, POSSIBLE, PROBABLE
from pipeline.readiness.catalogue import Catalogue, Cause
from pipeline.readiness.diagnosis import Candidate, candidates
from pipeline.readiness.evidence import FOR_EVER, Item


def cause(name: str = "a.b", **fields: Any) -> Cause:
    base: dict[str, Any] = {"id": name, "title": name, "entity": "workload", "remedy": ["look"]}
    return Cause.model_validate(base | fields)


def atoms(**shown: dict[str, int]) -> dict[str, dict[str, Item]]:
    """Atom -> subject -> since."""
    return {
        atom: {who: Item(t, t, 1, "", 0, FOR_EVER) for who, t in subjects.items()}
        for atom, subjects in shown.items()
    }


def judged(one: Cause, **shown: dict[str, int]) -> Candidate:
    [found] = candidates(atoms(**shown), Catalogue([one], [], []), "workload")
    return found


BOTH = {"required": [["x"], ["y", "z"]]}


def test_groups_of_different_pods_do_not_add_up() -> None:
    by_pod = cause(per_pod=True, **BOTH)
    found = judged(by_pod, x={"s/a": 1}, y={"s/b": 2})
    assert not found.satisfied
    assert found.missing == (("y", "z"),)
    assert judged(cause(**BOTH), x={"s/a": 1}, y={"s/b": 2}).satisfied


def test_one_pod_that_shows_all_is_enough() -> None:
    by_pod = cause(per_pod=True, **BOTH)
    found = judged(by_pod, x={"s/a": 1, "s/b": 5}, y={"s/c": 2}, z={"s/b": 7})
    assert found.satisfied
    assert (found.who, found.since) == (("s/b",), 7)


def test_what_the_entity_shows_counts_for_all_its_pods() -> None:
    by_pod = cause(per_pod=True, **BOTH)
    found = judged(by_pod, x={"": 3}, y={"s/a": 1, "s/b": 9})
    assert found.who == ("s/a", "s/b")
    assert found.since == 3


def test_both_atoms_of_a_word_must_be_of_one_pod() -> None:
    by_pod = cause(per_pod=True, required=[["x+y"]])
    assert not judged(by_pod, x={"s/a": 1}, y={"s/b": 1}).satisfied
    assert judged(by_pod, x={"s/a": 1}, y={"s/a": 4}).since == 4


def test_words_may_have_to_hold_for_longer() -> None:
    patient = cause(required=[["x", "y"]], hold_s=1, holds={"x": 15})
    assert judged(patient, x={"": 1000}).ripe == 17_000
    assert judged(patient, x={"": 1000}, y={"": 5000}).ripe == 6_000
    by_pod = cause(required=[["x", "y"]], per_pod=True, holds={"x": 15})
    assert judged(by_pod, x={"s/a": 1000}, y={"s/b": 9000}).ripe == 9_000


def test_confidence_and_exclusion() -> None:
    one = cause(required=[["x"]], proof=["y"], excluding=["z"])
    assert judged(one, x={"": 1}).confidence == PROBABLE
    assert judged(one, x={"": 1}, y={"": 1}).confidence == CERTAIN
    assert not judged(one, x={"": 1}, z={"": 1}).satisfied
    assert judged(cause(required=[["x"]], provisional=True), x={"": 1}).confidence == POSSIBLE
