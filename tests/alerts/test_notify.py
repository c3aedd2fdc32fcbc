"""Who is told what: groups, coverage, silences, pace. Pure functions of alerts and time."""

from dataclasses import replace

import pytest

from alerts.alert import FIRING, RESOLVED, Alert
from alerts.inhibit import inhibited
from alerts.matchers import all_match, parse_matcher
from alerts.notify import Message, Notice, Target, plan, show
from alerts.silences import new_silence
from pipeline.base.errors import UsageError
from tests.alerts.rig import T0

SINK = Target("sink")


def alert(name: str, *, s: float = 0, **changes: object) -> Alert:
    t = T0 + int(s * 1000)
    found = Alert(name, "R", "warning", f"node/{name}", {"node": name}, "g", t, t, 1, FIRING)
    return replace(found, **changes)  # type: ignore[arg-type]


class Told:
    """A target that remembers."""

    def __init__(self, target: Target = SINK) -> None:
        self.target = target
        self.alerts: dict[str, Alert] = {}
        self.known: dict[tuple[str, str], Notice] = {}

    def at(self, s: float, *silences: object) -> list[Message]:
        now = T0 + int(s * 1000)
        shown = show(self.alerts, silences, now)  # type: ignore[arg-type]
        found = plan(self.target, shown, self.known, now)
        for message in found:
            self.known[message.target, message.group] = message.notice
        return found

    def put(self, *alerts: Alert) -> None:
        self.alerts |= {one.fingerprint: one for one in alerts}


def names(messages: list[Message]) -> list[tuple[str, list[str], list[str]]]:
    return [
        (m.group, [a.fingerprint for a in m.firing], [a.fingerprint for a in m.resolved])
        for m in messages
    ]


def test_what_comes_together_is_told_together() -> None:
    told = Told()
    told.put(alert("a"), alert("b", s=0.5), alert("c", group="other"))
    assert told.at(0.5) == []
    assert names(told.at(1.5)) == [("g", ["a", "b"], []), ("other", ["c"], [])]
    assert told.at(100) == []


def test_a_group_is_told_at_its_pace_and_repeated() -> None:
    told = Told()
    told.put(alert("a"))
    told.at(1)
    told.put(alert("b", s=5))
    assert told.at(10) == [], "group_interval"
    assert names(told.at(31)) == [("g", ["a", "b"], [])]
    told.put(alert("b", status=RESOLVED, ends_at=T0 + 40_000))
    assert told.at(45) == []
    assert names(told.at(62)) == [("g", ["a"], ["b"])]
    again = told.at(62 + 4 * 3600)
    assert names(again) == [("g", ["a"], [])]
    assert not again[0].news


def test_who_is_silenced_is_not_told_of() -> None:
    told = Told()
    told.put(alert("a"), alert("b"))
    mute = new_silence(["node=a"], starts_at=T0, ends_at=T0 + 60_000, by="", comment="")
    assert names(told.at(2, mute)) == [("g", ["b"], [])]
    assert names(told.at(61, mute)) == [("g", ["a", "b"], [])]
    told.put(alert("a", status=RESOLVED, ends_at=T0 + 70_000))
    more = new_silence(["node=a"], starts_at=T0, ends_at=T0 + 900_000, by="", comment="")
    told.put(alert("c", status=RESOLVED, ends_at=T0 + 70_000))
    assert names(told.at(100, more)) == [("g", ["b"], ["a"])], "its end is told to who knows of it"


def test_who_was_told_and_is_covered_then_is_neither_begun_nor_ended() -> None:
    told = Told()
    told.put(alert("a", group="A"))
    told.at(2)
    told.put(alert("z", group="Z", entity="zone/z", affected=["node/a"], s=10))
    assert names(told.at(12)) == [("Z", ["z"], [])]
    told.put(alert("a", group="A", status=RESOLVED, ends_at=T0 + 20_000))
    assert names(told.at(60)) == [("A", [], ["a"])]


def test_coverage() -> None:
    node = alert("a", affected=["pod/shop/web-0"])
    same = alert("s", entity="node/a", symptom=True)
    pod = alert("p", entity="pod/shop/web-0")
    other = alert("o", entity="pod/shop/web-1")
    assert inhibited([node, same, pod, other]) == {"s": "a", "p": "a"}
    assert inhibited([same, pod]) == {}, "nothing covers them"
    mutual = alert("m", entity="pod/shop/web-0", affected=["node/a"])
    assert inhibited([node, mutual]) == {}, "neither holds the other back"
    named = alert("n", held_back_by=["Zone"])
    assert inhibited([named, alert("z", rule="Zone")]) == {"n": "z"}


def test_a_target_gets_what_it_matches() -> None:
    only = Told(replace(SINK, matchers=(parse_matcher("severity=~critical|info"),)))
    only.put(alert("a"), alert("b", severity="critical"), alert("w", severity="none"))
    assert names(only.at(2)) == [("g", ["b"], [])]


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("a=b", {"a": "b"}, True), ("a=b", {}, False), ("a!=b", {}, True),
        ('a = "b c"', {"a": "b c"}, True),
        ("a=~b.*", {"a": "bcd"}, True), ("a=~b", {"a": "bcd"}, False), ("a!~b.*", {"a": "x"}, True),
        ("a=", {}, True),
    ],
)  # fmt: skip
def test_matchers(text: str, labels: dict[str, str], matches: bool) -> None:
    assert all_match([parse_matcher(text)], labels) is matches


def test_a_wrong_pattern_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"'\(' is not RE2: missing \): \($"):
        parse_matcher("pod=~(")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("text", ["", "a", "a~b", "=b", "a=~(", "1a=b"])
def test_wrong_matchers_are_quoted(text: str) -> None:
    with pytest.raises(UsageError):
        parse_matcher(text)


def test_a_silence_of_everything_is_refused() -> None:
    with pytest.raises(UsageError, match="would silence every alert"):
        new_silence(["a=~.*"], starts_at=1, ends_at=2, by="", comment="")
    with pytest.raises(UsageError, match="end after it began"):
        new_silence(["a=b"], starts_at=2, ends_at=2, by="", comment="")
