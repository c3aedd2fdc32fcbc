"""What rules would have said: the fold and the planner in virtual time, over facts of a recording
or of the store. The same fold as the evaluator's, so the same alerts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts.alert import FIRING, RESOLVED, Alert, document
from alerts.fold import AlertFold
from alerts.model import Rule
from alerts.notify import Notice, Target, plan, show
from pipeline.contract.facts import ALERT, Fact

_STEP_MS = 1_000  # of time between facts, in which something may be due
_TARGET = Target("replay")


@dataclass(slots=True)
class Backtest:
    """`alerts`: each that somebody would have been told of, as it was in the end, in order of its
    beginning. `inhibited`: those that an incident covered as long as they fired. `notifications`:
    the messages."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    inhibited: list[dict[str, Any]] = field(default_factory=list)
    notifications: list[dict[str, Any]] = field(default_factory=list)


Answers = Mapping[int, Sequence[tuple[Rule, list[dict[str, Any]]]]]  # time -> answers of queries


def backtest(
    rules: Sequence[Rule],
    facts: Iterable[Fact],
    *,
    end: int,
    cluster: str = "-",
    answers: Answers | None = None,
) -> Backtest:
    """Facts are in order; `end` (Unix ms) is when watching stops. Rules that always hold say
    nothing here."""
    run = _Run(AlertFold([rule for rule in rules if not rule.always], cluster=cluster))
    asked = sorted((answers or {}).items())
    for fact in facts:
        if fact.kind == ALERT:
            continue
        while asked and asked[0][0] <= fact.t:
            run.observe(*asked.pop(0))
        run.until(fact.t)
        run.fold.apply(fact, fact.t)
    for at, found in asked:
        run.observe(at, found)
    run.until(end)
    return run.result()


class _Run:
    """Collects on the way: an alert may be forgotten before the end."""

    def __init__(self, fold: AlertFold) -> None:
        self.fold = fold
        self._last: dict[tuple[str, int], Alert] = {}
        self._held_back: dict[tuple[str, int], str] = {}
        self._told: set[tuple[str, int]] = set()
        self._known: dict[tuple[str, str], Notice] = {}
        self._sent: list[dict[str, Any]] = []

    def observe(self, at: int, found: Sequence[tuple[Rule, list[dict[str, Any]]]]) -> None:
        self.until(at)
        for rule, rows in found:
            self.fold.observe(rule, rows, at)

    def until(self, t: int) -> None:
        """Second by second while anything is about to be told; else at once."""
        now = self.fold.now or t
        while now < t:
            if not self.fold.alerts:
                now = t
                break
            self._look(now)
            self.fold.forget()
            now = min(now + _STEP_MS, t)
            self.fold.advance(now)
        self.fold.advance(t)
        self._look(t)
        self.fold.forget()

    def _look(self, now: int) -> None:
        changed = self.fold.take()
        for alert in changed.values():
            if alert.status in (FIRING, RESOLVED):
                self._last[alert.fingerprint, alert.since] = alert
        if not changed and not self._known and not self.fold.alerts:
            return
        shown = show(self.fold.alerts, (), now)
        for name, other in shown.inhibited.items():
            alert = self.fold.alerts[name]
            self._held_back[name, alert.since] = other
        for message in plan(_TARGET, shown, self._known, now):
            self._known[message.target, message.group] = message.notice
            self._told |= {(alert.fingerprint, alert.since) for alert in message.firing}
            if message.news and (message.firing or message.resolved):
                self._sent.append(
                    {
                        "t": now,
                        "group": message.group,
                        "firing": [alert.fingerprint for alert in message.firing],
                        "resolved": [alert.fingerprint for alert in message.resolved],
                    }
                )

    def result(self) -> Backtest:
        alerts = sorted(self._last.values(), key=lambda a: (a.starts_at, a.rule, a.fingerprint))
        result = Backtest(notifications=self._sent)
        for alert in alerts:
            key = (alert.fingerprint, alert.since)
            other = self._held_back.get(key)
            kept = result.inhibited if other and key not in self._told else result.alerts
            kept.append(document(alert) | {"inhibited_by": other})
        return result


def compare(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[str]:
    """Firings that one set of rules has and the other has not, or at other times; a line each."""
    old, new = _by_firing(before), _by_firing(after)
    lines = [f"- {_line(old[key])}" for key in old if key not in new]
    lines += [f"+ {_line(new[key])}" for key in new if key not in old]
    for key in old:
        if key in new and _when(old[key]) != _when(new[key]):
            lines.append(f"~ {_line(old[key])} -> {_line(new[key])}")
    return sorted(lines, key=lambda line: line[2:])


def _by_firing(alerts: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """The n-th firing of a rule with those labels is compared with the n-th of the other."""
    count: dict[tuple[Any, ...], int] = {}
    found = {}
    for alert in alerts:
        labels = tuple(sorted(alert["labels"].items()))
        number = count[alert["rule"], labels] = count.get((alert["rule"], labels), -1) + 1
        found[alert["rule"], labels, number] = alert
    return found


def _when(alert: Mapping[str, Any]) -> tuple[Any, ...]:
    return alert["starts_at"], alert["ends_at"], alert["severity"]


def _line(alert: Mapping[str, Any]) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in sorted(alert["labels"].items()))
    ends = "still firing" if alert["ends_at"] is None else f"to {alert['ends_at']}"
    return f"{alert['rule']} {{{labels}}} {alert['severity']} from {alert['starts_at']} {ends}"
