"""Many claims -> one effective configuration, setting by setting.

For each setting the claim that comes first counts (claims.py), with three exceptions:

- `redact` adds up: a pod cannot take back what its cluster wants blotted out;
- `limit` and `quota` are the smallest of all: a pod cannot raise its own;
- `attributes` are joined by name, the first claim's value counts.

Two claims of the same rank and kind of source that set the same setting differently contradict
each other: a conflict, which is shown to both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.logconfig.claims import Claim, Rank
from pipeline.logconfig.spec import Limit, LogConfigSpec, Quota, Redact

SETTINGS = (
    "exclude", "include_lines", "exclude_lines", "multiline", "parse", "redact", "sample", "limit",
    "quota", "retention", "attributes",
)  # fmt: skip
_RESOURCES = (Rank.LOG_CONFIG, Rank.CLUSTER_LOG_CONFIG, Rank.ALIYUN_RESOURCE)


@dataclass(frozen=True, slots=True)
class Decision:
    """One setting: what counts, by whom, and who wished otherwise."""

    setting: str
    value: Any
    origins: tuple[str, ...]  # more than one where wishes add up
    beaten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    setting: str
    winner: str
    loser: str


@dataclass(frozen=True, slots=True)
class Effective:
    """What is done with a container's lines."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()

    def value(self, setting: str) -> Any:
        found = self.decisions.get(setting)
        return None if found is None else found.value


def resolve(claims: Iterable[Claim]) -> Effective:
    """Pure and total."""
    ordered = sorted(claims, key=lambda claim: claim.order)
    decisions, conflicts = {}, []
    for setting in SETTINGS:
        wishes = [(c, v) for c in ordered if (v := getattr(c.settings, setting)) is not None]
        if not wishes:
            continue
        decisions[setting] = _decide(setting, wishes)
        if setting not in ("redact", "limit", "quota", "attributes"):
            conflicts += _conflicts(setting, wishes)
    return Effective(decisions, tuple(conflicts))


def _decide(setting: str, wishes: Sequence[tuple[Claim, Any]]) -> Decision:
    origins = tuple(claim.origin for claim, _ in wishes)
    if setting == "redact":
        return Decision(setting, _union([value for _, value in wishes]), origins)
    if setting == "attributes":
        joined: dict[str, str] = {}
        for _, value in wishes:
            joined = {**value, **joined}
        return Decision(setting, joined, origins)
    at = 0
    if setting in ("limit", "quota"):
        at = min(range(len(wishes)), key=lambda i: _rate(wishes[i][1]))
    beaten = tuple(
        claim.origin
        for i, (claim, value) in enumerate(wishes)
        if i != at and value != wishes[at][1]
    )
    return Decision(setting, wishes[at][1], (origins[at],), beaten)


def _rate(limit: Limit | Quota) -> int:
    return limit.bytes_per_second


def _union(values: Sequence[Redact]) -> Redact:
    presets = dict.fromkeys(preset for value in values for preset in value.presets)
    secrets = dict.fromkeys(secret for value in values for secret in value.patterns)
    return Redact.model_construct(presets=tuple(presets), patterns=tuple(secrets))


def _conflicts(setting: str, wishes: Sequence[tuple[Claim, Any]]) -> list[Conflict]:
    first: dict[tuple[Rank, bool], tuple[Claim, Any]] = {}
    found = []
    for claim, value in wishes:
        if claim.rank not in _RESOURCES:
            continue
        of_all = claim.settings.files is None  # who names files does not contradict who does not
        winner = first.setdefault((claim.rank, of_all), (claim, value))
        if winner[0] is not claim and winner[1] != value:
            found.append(Conflict(setting, winner[0].origin, claim.origin))
    return found


def settings_of(spec: LogConfigSpec) -> list[str]:
    """Names of the settings that it sets, as they are written."""
    return [name for name in SETTINGS if getattr(spec, name) is not None]
