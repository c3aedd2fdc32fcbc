"""Silences: alerts that match are not told to anybody, from a time until a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from alerts.alert import Alert
from alerts.matchers import Matcher, all_match, parse_matcher
from pipeline.base.errors import UsageError
from pipeline.contract.alerts import SILENCE, Change
from pipeline.contract.facts import Fact


@dataclass(frozen=True, slots=True)
class Silence:
    """Times are Unix ms."""

    id: str
    matchers: tuple[str, ...]
    starts_at: int
    ends_at: int
    by: str
    comment: str
    parsed: tuple[Matcher, ...] = ()

    def mutes(self, alert: Alert, now: int) -> bool:
        return self.starts_at <= now < self.ends_at and all_match(
            self.parsed, alert.matched_labels()
        )

    def change(self) -> Change:
        body = {
            "matchers": list(self.matchers),
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "by": self.by,
            "comment": self.comment,
        }
        return Change(SILENCE, self.id, Fact(SILENCE, self.starts_at, "cluster/-", self.id, body))


def new_silence(
    matchers: Iterable[str], *, starts_at: int, ends_at: int, by: str, comment: str
) -> Silence:
    """Raises UsageError unless it matches something in particular, for some time."""
    texts = tuple(matchers)
    if not texts:
        raise UsageError("a silence needs at least one matcher, for example node=node-a")
    parsed = tuple(parse_matcher(text) for text in texts)
    if all(matcher.matches({}) for matcher in parsed):
        raise UsageError(f"{', '.join(texts)} would silence every alert; name what is meant")
    if ends_at <= starts_at:
        raise UsageError("a silence must end after it began")
    name = blake2b(f"{texts}{starts_at}{ends_at}{by}{comment}".encode(), digest_size=6).hexdigest()
    return Silence(name, texts, starts_at, ends_at, by, comment, parsed)


def read_silence(change: Change) -> Silence:
    """From its record. Raises UsageError or KeyError for one that is no silence."""
    if change.fact is None:
        raise KeyError(change.name)
    body: Mapping[str, object] = change.fact.body
    texts = tuple(str(text) for text in body["matchers"])  # type: ignore[attr-defined]
    return Silence(
        change.name,
        texts,
        int(str(body["starts_at"])),
        int(str(body["ends_at"])),
        str(body.get("by", "")),
        str(body.get("comment", "")),
        tuple(parse_matcher(text) for text in texts),
    )


def silenced(silences: Iterable[Silence], alerts: Iterable[Alert], now: int) -> dict[str, str]:
    """Fingerprint -> id of the silence."""
    current = [silence for silence in silences if silence.starts_at <= now < silence.ends_at]
    return {
        alert.fingerprint: silence.id
        for alert in alerts
        for silence in current
        if silence.mutes(alert, now)
    }
