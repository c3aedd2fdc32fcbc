"""An alert as the fold keeps it, and as it is recorded: plain values.

Statuses: `pending` (its condition holds, not yet for long enough), `firing`, `resolved`,
`inactive` (it was pending and never fired).
"""

from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pipeline.contract.facts import ALERT, Fact

PENDING, FIRING, RESOLVED, INACTIVE = "pending", "firing", "resolved", "inactive"
ENDED = (RESOLVED, INACTIVE)


@dataclass(slots=True)
class Alert:
    """`version` counts all that was ever said of this fingerprint, so a later one replaces an
    earlier one wherever they meet."""

    fingerprint: str
    rule: str
    severity: str
    entity: str
    labels: dict[str, str]
    group: str  # alerts of one incident are told together
    since: int  # Unix ms: the condition has held since
    starts_at: int  # when it fires, or fired
    version: int = 0
    status: str = PENDING
    ends_at: int = 0
    lost_at: int = 0  # the condition is gone since, and keep_firing_for not over
    symptom: bool = False
    held_back_by: list[str] = field(default_factory=list)  # rules
    cause: str = ""
    because: str = ""
    episode: str = ""
    summary: str = ""
    description: str = ""
    value: float | None = None
    evidence: list[str] = field(default_factory=list)
    affected: list[str] = field(default_factory=list)  # entities
    # what holds it -> the order of the fact that said so last
    sources: dict[str, tuple[int, int]] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)  # of a rule with `times`: the latest matches

    def fact(self, t: int) -> Fact:
        """This version of it."""
        body = asdict(self)
        return Fact(ALERT, t, self.entity, f"{self.fingerprint}:{self.version}", body)

    def matched_labels(self) -> dict[str, str]:
        """What silences and receivers may ask for."""
        return self.labels | {"alertname": self.rule, "severity": self.severity}


def _form(hint: Any) -> tuple[Any, Any]:
    """What `isinstance` asks of a value, and of its members if it has some."""
    inner = get_args(hint)
    if isinstance(hint, UnionType):
        return hint | int, ()  # 1.0 may be written as 1
    if not inner:
        return hint, ()
    return get_origin(hint), (list, tuple) if get_origin(inner[-1]) is tuple else inner[-1]


_FORM = {name: _form(hint) for name, hint in get_type_hints(Alert).items()}


def read_alert(fact: Fact) -> Alert:
    """The opposite of `fact`. Raises TypeError for a body of another form."""
    alert = Alert(**fact.body)
    for name, (kind, inner) in _FORM.items():
        value = getattr(alert, name)
        members = value.values() if isinstance(value, dict) else value if inner else ()
        if not isinstance(value, kind) or not all(isinstance(one, inner) for one in members):
            raise TypeError(f"`{name}` of an alert cannot be {value!r:.60}")
    alert.sources = {name: (order[0], order[1]) for name, order in alert.sources.items()}
    return alert


def fingerprint(rule: str, labels: dict[str, str]) -> str:
    """The identity: rule and labels. What may change while it fires (cause, severity, number) is
    no part of it."""
    text = "\0".join([rule, *(f"{name}={labels[name]}" for name in sorted(labels))])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def document(alert: Alert) -> dict[str, Any]:
    """As programs read it; times are Unix ms, `ends_at` null while it fires."""
    return {
        "rule": alert.rule,
        "severity": alert.severity,
        "labels": alert.labels,
        "entity": alert.entity,
        "cause": alert.cause,
        "because": alert.because,
        "episode": alert.episode,
        "group": alert.group,
        "summary": alert.summary,
        "evidence": alert.evidence,
        "affected": alert.affected,
        "status": alert.status,
        "since": alert.since,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at or None,
        "fingerprint": alert.fingerprint,
        "value": alert.value,
    }
