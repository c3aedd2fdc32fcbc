"""An incident as the fold keeps it: plain values, written to snapshots as they are."""

from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.facts import OPEN


@dataclass(slots=True)
class Shown:
    """Evidence as an episode keeps it: also when it is no longer active."""

    atom: str
    subject: str
    first: int
    last: int
    count: int
    quote: str
    offset: int


@dataclass(slots=True)
class Episode:
    id: str
    entity: str
    opened_at: int
    detected_at: int
    cause: str
    confidence: str
    rank: int
    version: int = 0
    status: str = OPEN
    closed_at: int = 0
    quiet_since: int = 0
    merged_into: str = ""
    evidence: dict[str, Shown] = field(default_factory=dict)  # "atom subject" -> shown
    affected: dict[str, None] = field(default_factory=dict)
    candidates: list[dict[str, Any]] = field(default_factory=list)
    dirty_since: int = 0


@dataclass(slots=True)
class EpisodesState:
    open: dict[str, Episode] = field(default_factory=dict)  # by entity
    ended: dict[str, Episode] = field(default_factory=dict)  # by entity, for AFTER_MS
    waiting: dict[str, int] = field(default_factory=dict)  # hold_s not yet over -> look again then
    symptoms: dict[str, str] = field(default_factory=dict)  # entity -> entity that explains it
    dirty: dict[str, None] = field(default_factory=dict)
