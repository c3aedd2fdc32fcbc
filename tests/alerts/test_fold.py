"""The fold by itself: when an alert fires and ends, and that it can be continued from anywhere."""

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerts.alert import FIRING, INACTIVE, PENDING, RESOLVED, Alert, read_alert
from alerts.durations import span
from alerts.fold import FORGET_MS, AlertFold
from pipeline.contract.alerts import Change, decode_change, encode_change
from pipeline.contract.facts import ALERT, Fact
from tests.alerts.rig import T0, episode, moved, rule, shipped


def at(s: float) -> int:
    return T0 + int(s * 1000)


def only(fold: AlertFold) -> Alert:
    (alert,) = fold.alerts.values()
    return alert


def test_for_counts_from_the_fact_and_not_from_when_it_was_looked_at() -> None:
    fold = AlertFold([rule("NodeUnknown")], cluster="-")
    fold.apply(moved("a", "Ready", "Unknown", 0), at(0))
    assert (only(fold).status, only(fold).starts_at) == (PENDING, at(15))
    fold.advance(at(14.9))
    assert only(fold).status == PENDING
    fold.advance(at(300))
    assert (only(fold).status, only(fold).starts_at) == (FIRING, at(15))


def test_what_ended_before_its_time_never_fires() -> None:
    fold = AlertFold([rule("NodeUnknown")], cluster="-")
    fold.advance(at(500))  # whoever folds is late
    fold.apply(moved("a", "Ready", "Unknown", 0), at(0))
    fold.apply(moved("a", "Unknown", "Ready", 10), at(10))
    fold.advance(at(600))
    assert (only(fold).status, only(fold).ends_at) == (INACTIVE, at(10))


def test_it_keeps_firing_and_comes_back_as_the_same() -> None:
    keeping = rule("NodeNotReady", keep_firing_for=span("60s"))
    fold = AlertFold([keeping], cluster="-")
    fold.apply(episode("e", 1), at(0))
    fold.apply(episode("e", 2, s=10, status="closed"), at(10))
    assert (only(fold).status, only(fold).lost_at) == (FIRING, at(10))
    fold.apply(episode("e", 3, s=30), at(30))
    assert (only(fold).status, only(fold).lost_at, only(fold).starts_at) == (FIRING, 0, at(0))
    fold.apply(episode("e", 4, s=40, status="closed"), at(40))
    fold.advance(at(200))
    assert (only(fold).status, only(fold).ends_at) == (RESOLVED, at(100))


def test_times_holds_while_enough_are_within_the_window() -> None:
    fold = AlertFold([rule("NodeFlapping")], cluster="-")
    for s in (0, 100, 200):
        fold.apply(moved("a", "Ready", "NotReady", s), at(s))
        fold.apply(moved("a", "NotReady", "Ready", s + 50), at(s + 50))
    assert (only(fold).status, only(fold).starts_at) == (FIRING, at(200))
    fold.advance(at(899))
    assert only(fold).status == FIRING
    fold.advance(at(900))
    assert (only(fold).status, only(fold).ends_at) == (RESOLVED, at(900))


def test_older_versions_change_nothing_and_the_past_is_forgotten() -> None:
    fold = AlertFold([rule("NodeNotReady")], cluster="-")
    fold.apply(episode("e", 2, s=10, status="closed"), at(10))
    fold.apply(episode("e", 1), at(11))
    assert fold.alerts == {}
    fold.apply(episode("f", 1, s=20), at(20))
    fold.apply(episode("f", 2, s=30, status="closed"), at(30))
    name = only(fold).fingerprint
    fold.take()
    fold.advance(at(30) + FORGET_MS - 1)
    assert fold.forget() == []
    fold.advance(at(30) + FORGET_MS)
    assert fold.forget({name}) == []
    assert fold.forget() == [name]
    assert (fold.alerts, fold.take()) == ({}, {})


def test_rows_of_an_answer_are_the_alerts_that_hold() -> None:
    asking = rule("DeadLetters")
    fold = AlertFold([asking], cluster="-")
    fold.observe(asking, [{"reason": "a", "value": 3}, {"reason": "b", "value": 1}], at(0))
    assert {a.labels["reason"] for a in fold.active()} == {"a", "b"}
    fold.take()
    fold.observe(asking, [{"reason": "a", "value": 4}], at(30))
    changed = fold.take().values()
    assert [(a.labels["reason"], a.status) for a in changed] == [("b", RESOLVED)]
    assert [a.summary for a in fold.active()] == [
        "4 records could not be processed within ten minutes: a"
    ]


def test_a_row_may_bring_its_own_severity() -> None:
    asking = rule("StoreDiskDaysLeft")
    fold = AlertFold([asking], cluster="-")
    fold.observe(asking, [{"disk": "d", "value": 3.0, "severity": "warning"}], at(0))
    name = only(fold).fingerprint
    fold.observe(asking, [{"disk": "d", "value": 0.5, "severity": "critical"}], at(60))
    assert (only(fold).severity, only(fold).fingerprint) == ("critical", name)


FACTS = st.lists(
    st.one_of(
        st.builds(
            lambda n, e, v, status, verdict: ("episode", n, e, v, status, verdict),
            st.integers(0, 400), st.integers(0, 2), st.integers(1, 5),
            st.sampled_from(["open", "open", "closed"]),
            st.sampled_from(["node.not-ready", "node.kernel", "zone.disruption", "pod.crashloop"]),
        ),
        st.builds(
            lambda n, e, to: ("moved", n, e, 0, to, ""),
            st.integers(0, 400), st.integers(0, 2),
            st.sampled_from(["Ready", "NotReady", "Unknown"]),
        ),
    ),
    max_size=25,
)  # fmt: skip


def made(drawn: list[tuple]) -> list[Fact]:
    """Versions come in order, some are left out; an older one comes again as it was."""
    facts: list[Fact] = []
    told: dict[int, dict[int, Fact]] = {0: {}, 1: {}, 2: {}}
    for kind, s, number, version, word, verdict in sorted(drawn, key=lambda d: d[1]):
        if kind == "episode":
            entity, own = f"node/n{number}", told[number]
            if version > max(own, default=0):
                own[version] = episode(
                    f"e{number}", version, verdict, entity=entity, s=s, status=word
                )
            facts.append(own[min(own, key=lambda known: abs(known - version))])
        else:
            facts.append(moved(f"n{number}", "Ready" if word != "Ready" else "Unknown", word, s))
    return facts


# What opened it comes again, long after its end was recorded.
OLD_AGAIN = [
    ("episode", 0, 0, 1, "open", "node.not-ready"),
    ("episode", 10, 0, 2, "closed", "node.not-ready"),
    *(("moved", s, 1, 0, "Ready", "") for s in range(20, 24)),
    ("episode", 30, 0, 1, "open", "node.not-ready"),
]


@settings(max_examples=60)
@example(OLD_AGAIN, 6)
@given(FACTS, st.integers(0, 25))
def test_continued_from_what_is_recorded_it_is_the_same(drawn: list[tuple], cut: int) -> None:
    """At any point all that is left is the topic: the latest version of each alert, as bytes."""
    facts = made(drawn)
    whole, first = (AlertFold(shipped(), cluster="-") for _ in range(2))
    for fact in facts:
        whole.apply(fact, fact.t)
    for fact in facts[:cut]:
        first.apply(fact, fact.t)
    second = AlertFold(shipped(), cluster="-")
    for alert in first.alerts.values():
        key, value, _ = encode_change(Change(ALERT, alert.fingerprint, alert.fact(first.now)))
        change = decode_change(key, value)
        assert change.fact is not None
        second.restore(read_alert(change.fact))
    for fact in facts[max(cut - 3, 0) :]:  # some are read twice
        second.apply(fact, fact.t)
    for fold in (whole, second):
        fold.advance(at(1_000))
    assert _seen(second) == _seen(whole)
    owed = {name for name in whole.alerts if name < "8"}  # somebody has still to hear of these
    for fold in (whole, second):
        fold.advance(at(200) + FORGET_MS)  # of those that ended, some long enough ago
        fold.forget(owed)
    assert _seen(second) == _seen(whole)


def _seen(fold: AlertFold) -> list[tuple]:
    alerts = [replace(alert) for alert in fold.alerts.values()]
    return sorted(
        (a.fingerprint, a.status, a.starts_at, a.ends_at, a.cause, a.severity) for a in alerts
    )
