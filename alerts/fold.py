"""The fold of alerts: state', alerts = fold(state, fact). And: time passes; a query was answered.

Deterministic, no clock and no I/O: the evaluator gives facts and times, the backtest gives those
of a recording, and both get the same alerts. What comes out are versions of alerts, and state is
nothing but the latest version of each (`restore`): whoever has read them goes on from there.

  condition holds        pending, and firing once it has held for `for`: at since + for, whenever
                         that is noticed, unless it ended before
  condition is gone      resolved, after `keep_firing_for`; if it never fired, inactive
  long after its end     forgotten, once whoever was told of it has heard of the end

A rule that was taken away resolves its alerts.
"""

from collections import OrderedDict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from alerts.alert import ENDED, FIRING, INACTIVE, PENDING, RESOLVED, Alert, fingerprint
from alerts.fields import covered, fields_of, order_of, quotes, source_of
from alerts.model import SEVERITIES, Rule
from alerts.templates import fill
from alerts.timers import NEVER, Timers
from pipeline.contract.facts import EPISODE, OPEN, Fact

FORGET_MS = 3_600_000
_ORDERS = 200_000  # things whose latest version is remembered
_BEFORE = (-1, -1)


class AlertFold:
    """`alerts` by fingerprint. `changed` collects what is new until `take`."""

    def __init__(self, rules: Sequence[Rule], *, cluster: str) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self.alerts: dict[str, Alert] = {}
        self.now = 0
        self._t = 0  # of what is being folded; a fact may come late
        self._cluster = cluster
        self._by_kind: dict[str, list[Rule]] = {}
        for rule in rules:
            if rule.fact is not None:
                self._by_kind.setdefault(rule.fact.kind, []).append(rule)
        self._orders: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._held: dict[tuple[str, str], str] = {}  # (rule, source) -> fingerprint
        self._timers = Timers()
        self._leaving = Timers()  # those that have ended
        self._changed: dict[str, Alert] = {}

    # In

    def restore(self, alert: Alert, *, again: bool = False) -> None:
        """A version that was recorded; older ones than are known change nothing. `again`: facts
        that are known will be given again, to rules that have not seen them."""
        known = self.alerts.get(alert.fingerprint)
        if known is not None and known.version >= alert.version:
            return
        self.alerts[alert.fingerprint] = alert
        for source, order in alert.sources.items():
            if not again:
                self._remember(source, order)
            if alert.status not in ENDED and not alert.lost_at:
                self._held[alert.rule, source] = alert.fingerprint
        self._set_timer(alert)

    def begin(self, now: int) -> None:
        """Once all is restored: rules that always hold begin, those that are gone end."""
        self.now = max(self.now, now)
        self._t = self.now
        for alert in list(self.alerts.values()):
            if alert.status not in ENDED and alert.rule not in self.rules:
                self._end(alert, self.now)
        for rule in self.rules.values():
            if rule.always:
                self._raise(rule, rule.name, (0, 0), {"entity": "cluster/-"})

    def apply(self, fact: Fact, t: int) -> None:
        """A fact, and the time at which it counts (Unix ms)."""
        self.advance(t)
        self._t = t
        rules = self._by_kind.get(fact.kind)
        if not rules:
            return
        source, order = source_of(fact), order_of(fact)
        if order <= self._orders.get(source, _BEFORE):
            return
        self._remember(source, order)
        fields = fields_of(fact, self._cluster)
        for rule in rules:
            if rule.fact is not None and _holds(rule, fields, fact):
                self._raise(rule, source, order, fields, fact)
            elif rule.fact is not None and rule.fact.times is None:
                self._drop(rule, source, order)

    def observe(self, rule: Rule, rows: Iterable[Mapping[str, Any]], t: int) -> None:
        """A query's whole answer: what it does not name has ended."""
        self.advance(t)
        self._t = t
        named = set()
        for row in rows:
            fields = {"cluster": self._cluster, **row}
            source = f"sql/{fingerprint(rule.name, self._labels(rule, fields))}"
            named.add(source)
            self._raise(rule, source, (0, 0), fields)
        for name, source in list(self._held):
            if name == rule.name and source not in named:
                self._drop(rule, source, (0, 0))

    def advance(self, now: int) -> None:
        """Time passes. A fact that comes late passes only the time up to itself: what it begins
        may be ended by the next one."""
        self.now = max(self.now, now)
        while due := self._timers.due(now):
            for name in due:
                self._due(self.alerts[name], self._timers.at(name))

    # Out

    def take(self) -> dict[str, Alert]:
        """What changed since the last call, by fingerprint."""
        changed, self._changed = self._changed, {}
        return changed

    def forget(self, owed: Container[str] = ()) -> list[str]:
        """Alerts that ended long ago are dropped; their fingerprints. Not those of which somebody
        has still to hear that they ended, however long that takes."""
        gone = [name for name in self._leaving.due(self.now) if name not in owed]
        for name in gone:
            del self.alerts[name]
            self._leaving.set(name, NEVER)
        return gone

    def active(self) -> list[Alert]:
        return [alert for alert in self.alerts.values() if alert.status == FIRING]

    # Conditions

    def _raise(
        self, rule: Rule, source: str, order: tuple[int, int], fields: Mapping[str, Any],
        fact: Fact | None = None,
    ) -> None:  # fmt: skip
        labels = self._labels(rule, fields)
        print_ = fingerprint(rule.name, labels)
        if self._held.get((rule.name, source), print_) != print_:
            self._drop(rule, source, order)  # the same thing, by other labels
        alert = self.alerts.get(print_)
        begins = alert is None or alert.status in ENDED
        before = None if begins or alert is None else _visible(alert)
        if alert is None or begins:
            alert = self._begun(rule, print_, labels, alert)
        self._held[rule.name, source] = print_
        known = source in alert.sources
        alert.sources[source] = order
        back, alert.lost_at = alert.lost_at != 0, 0
        self._describe(alert, rule, fields, fact)
        if rule.fact is not None and rule.fact.times is not None:
            self._count(alert, rule)
        elif alert.status == PENDING and not rule.for_:
            alert.status = FIRING
        if begins or back or not known or before != _visible(alert):
            self._say(alert)
        self._set_timer(alert)

    def _drop(self, rule: Rule, source: str, order: tuple[int, int]) -> None:
        held = self._held.pop((rule.name, source), None)
        if held is None:
            return
        alert = self.alerts[held]
        alert.sources.pop(source, None)
        if any((rule.name, other) in self._held for other in alert.sources):
            self._say(alert)
            return
        alert.sources = {source: order}  # so that its older versions stay known as old
        if alert.status == FIRING and rule.keep_firing_for:
            alert.lost_at = self._t
            self._say(alert)
            self._set_timer(alert)
        else:
            self._end(alert, max(self._t, alert.since))

    def _count(self, alert: Alert, rule: Rule) -> None:
        """One more match. It fires when more than so many are within the window."""
        times = rule.fact.times if rule.fact is not None else None
        if times is None:
            return
        alert.seen = [t for t in alert.seen if t > self._t - times.within]
        alert.seen = [*alert.seen, self._t][-(times.more_than + 1) :]
        if len(alert.seen) > times.more_than and alert.status == PENDING:
            alert.status, alert.starts_at = FIRING, self._t

    def _begun(
        self, rule: Rule, print_: str, labels: dict[str, str], before: Alert | None
    ) -> Alert:
        alert = Alert(
            fingerprint=print_,
            rule=rule.name,
            severity=rule.severity,
            entity="",
            labels=labels,
            group=rule.name,
            since=self._t,
            starts_at=self._t + rule.for_,
            version=before.version if before is not None else 0,
            symptom=rule.symptom,
            held_back_by=rule.held_back_by,
        )
        self.alerts[print_] = alert
        return alert

    def _describe(
        self, alert: Alert, rule: Rule, fields: Mapping[str, Any], fact: Fact | None
    ) -> None:
        alert.entity = fill(rule.entity, fields)
        alert.summary = fill(rule.summary, fields)
        alert.description = fill(rule.description, fields).strip()
        severity = fields.get("severity")
        alert.severity = severity if severity in SEVERITIES else rule.severity
        value = fields.get("value")
        alert.value = float(value) if isinstance(value, int | float) else None
        if fact is not None and fact.kind == EPISODE:
            body = fact.body
            alert.group = alert.episode = str(body["id"])
            alert.cause, alert.because = str(body["verdict"]), str(body.get("because", ""))
            alert.evidence, alert.affected = quotes(body), covered(body)

    def _labels(self, rule: Rule, fields: Mapping[str, Any]) -> dict[str, str]:
        return {"cluster": self._cluster} | {
            name: fill(text, fields) for name, text in rule.labels.items()
        }

    # Time

    def _due(self, alert: Alert, at: int) -> None:
        rule = self.rules.get(alert.rule)
        if rule is None or alert.lost_at or (rule.fact and rule.fact.times):
            for source in list(alert.sources):
                self._held.pop((alert.rule, source), None)
            self._end(alert, at)
        else:
            alert.status = FIRING
            self._say(alert)
            self._set_timer(alert)

    def _end(self, alert: Alert, when: int) -> None:
        alert.status = RESOLVED if alert.status == FIRING else INACTIVE
        alert.ends_at, alert.lost_at, alert.seen = when, 0, []
        self._say(alert)
        self._set_timer(alert)

    def _set_timer(self, alert: Alert) -> None:
        rule = self.rules.get(alert.rule)
        times = rule.fact.times if rule is not None and rule.fact is not None else None
        ended = alert.status in ENDED
        self._leaving.set(alert.fingerprint, alert.ends_at + FORGET_MS if ended else NEVER)
        at = NEVER
        if ended or rule is None:
            pass
        elif alert.lost_at:
            at = alert.lost_at + rule.keep_firing_for
        elif times is not None and alert.seen:
            # as long as enough matches are in the window; pending: as long as any is
            at = alert.seen[0 if alert.status == FIRING else -1] + times.within
        elif alert.status == PENDING:
            at = alert.starts_at
        self._timers.set(alert.fingerprint, at)

    def _say(self, alert: Alert) -> None:
        alert.version += 1
        self._changed[alert.fingerprint] = alert

    def _remember(self, source: str, order: tuple[int, int]) -> None:
        if order > self._orders.get(source, _BEFORE):
            self._orders[source] = order
            self._orders.move_to_end(source)
        if len(self._orders) > _ORDERS:
            self._orders.popitem(last=False)


def _holds(rule: Rule, fields: dict[str, Any], fact: Fact) -> bool:
    """An incident that is closed or merged is over, whatever a rule asks of it."""
    if fact.kind == EPISODE and fact.body.get("status") != OPEN:
        return False
    return rule.fact is not None and rule.fact.matches(fields)


def _visible(alert: Alert) -> tuple[Any, ...]:
    """What a reader would see change. A number moves all the time, and is told when it begins."""
    return (alert.status, alert.severity, alert.cause, alert.because, len(alert.affected),
            tuple(alert.seen))  # fmt: skip
