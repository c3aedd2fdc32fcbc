"""The state of alerting as it stands on kubeledger.alerts: read whole when we take over, followed
then for what others write there (silences, wishes to be told again)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from alerts.alert import Alert, read_alert
from alerts.model import Rule
from alerts.notify import Notice, read_notice
from alerts.silences import Silence, read_silence
from pipeline.base.errors import UsageError
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Reader, Record, TopicPartition
from pipeline.contract.alerts import NOTICE, RESEND, RULES, SILENCE, Change, decode_change
from pipeline.contract.facts import ALERT, Fact
from pipeline.contract.topics import ALERTS

THE_STATE = TopicPartition(ALERTS, 0)
_POLL_S = 0.5


@dataclass(slots=True)
class Standing:
    """Latest of everything. `upto`: offset of the next record to read."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    silences: dict[str, Silence] = field(default_factory=dict)
    notices: dict[tuple[str, str], Notice] = field(default_factory=dict)
    rules: str = ""
    upto: int = 0

    def take(self, change: Change) -> None:
        """Raises LookupError, TypeError, AttributeError, ValueError or UsageError for a body that
        is not as it should be."""
        if change.kind == ALERT:
            if change.fact is None:
                self.alerts.pop(change.name, None)
                return
            alert = read_alert(change.fact)
            known = self.alerts.get(change.name)
            if known is None or known.version < alert.version:
                self.alerts[change.name] = alert
        elif change.kind == SILENCE:
            self._silence(change)
        elif change.kind == NOTICE:
            target, group, notice = read_notice(change)
            if notice is None:
                self.notices.pop((target, group), None)
            else:
                self.notices[target, group] = notice
        elif change.kind == RESEND:
            target, _, group = change.name.partition("/")
            self.notices.pop((target, group), None)
        elif change.kind == RULES and change.fact is not None:
            self.rules = str(change.fact.body.get("digest", ""))

    def _silence(self, change: Change) -> None:
        if change.fact is None:
            self.silences.pop(change.name, None)
        else:
            self.silences[change.name] = read_silence(change)


class StateReader:
    """Reads the topic. One thread."""

    def __init__(self, reader: Reader, telemetry: Telemetry) -> None:
        self._reader = reader
        self._telemetry = telemetry

    def read(self) -> Standing:
        """All there is now. Unavailable: call again."""
        standing = Standing()
        self._reader.assign([THE_STATE])
        self._reader.seek(THE_STATE, self._reader.beginning_offset(THE_STATE))
        end = self._reader.end_offset(THE_STATE)
        while self._reader.position(THE_STATE) < end:
            for record in self._reader.poll(_POLL_S):
                self.take(standing, record)
        standing.upto = end
        return standing

    def news(self, standing: Standing) -> None:
        """Silences and wishes that came since. Our own records are known already."""
        for record in self._reader.poll(0.0):
            kind = (record.key or b"").partition(b"/")[0]
            if kind in (SILENCE.encode(), RESEND.encode()):
                self.take(standing, record)

    def take(self, standing: Standing, record: Record) -> None:
        try:
            standing.take(decode_change(record.key, record.value))
        except (UsageError, LookupError, TypeError, ValueError, AttributeError) as error:
            self._telemetry.event(
                "state.unreadable", "error", offset=record.offset, key=repr(record.key)[:80],
                error=repr(error),
            )  # fmt: skip
        standing.upto = record.offset + 1


def rules_change(rules: Sequence[Rule]) -> Change:
    """Says which rules have seen the facts so far. Only what decides when they hold counts."""
    decides = {"name", "fact", "labels", "for_"}
    told = sorted(rule.model_dump_json(include=decides) for rule in rules if rule.fact)
    digest = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    return Change(RULES, "-", Fact(RULES, 0, "cluster/-", digest, {"digest": digest}))
