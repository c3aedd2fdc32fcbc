"""Rows as columns, before they become a block: what the join gives and the assembly takes.

`origin` is the index of the row's file and pod in the batch's `Origins`: everything that is
the same for all rows of a chunk is kept once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.record import Source
from pipeline.stages.lines import Bytes8, Ints
from pipeline.stages.treatment import Treatment


@dataclass(slots=True)
class Rows:
    """`stream` is 1 stdout, 2 stderr; offsets are uncompressed bytes of the row's file."""

    ts: Ints
    stream: Bytes8
    flags: Bytes8
    off: Ints
    nbytes: Ints
    interleaved: Ints
    ko: Ints
    origin: Ints
    bodies: list[bytes]
    weight: NDArray[np.float64] | None = None  # None: each stands for itself
    fields: list[bytes] | None = None  # JSON objects, or nothing

    def __len__(self) -> int:
        return len(self.bodies)

    def stored(self) -> list[tuple[int, int, int, int]]:
        """(off, stop, stream, flags) of each row: which bytes it holds."""
        stop = self.off + self.nbytes + self.interleaved
        columns = (self.off, stop, self.stream, self.flags)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def select(self, keep: NDArray[np.bool_]) -> "Rows":
        return self.reorder(np.flatnonzero(keep))

    def reorder(self, order: Ints) -> "Rows":
        """Row i is the old row order[i]."""
        return Rows(
            self.ts[order],
            self.stream[order],
            self.flags[order],
            self.off[order],
            self.nbytes[order],
            self.interleaved[order],
            self.ko[order],
            self.origin[order],
            list(map(self.bodies.__getitem__, order.tolist())),
            self.weight[order] if self.weight is not None else None,
            [self.fields[i] for i in order.tolist()] if self.fields is not None else None,
        )


@dataclass(slots=True)
class RowList:
    """Rows one by one, for those that do not come out of a column at once."""

    fixed: list[tuple[int, int, int, int, int, int, int, int]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def take(self) -> Rows:
        """All so far; the list is empty afterwards."""
        fixed, bodies = self.fixed, self.bodies
        self.fixed, self.bodies = [], []
        table = np.array(fixed, np.int64).reshape(len(fixed), 8)
        ts, stream, flags, off, nbytes, interleaved, ko, origin = table.T
        return Rows(
            ts,
            stream.astype(np.uint8),
            flags.astype(np.uint8),
            off,
            nbytes,
            interleaved,
            ko,
            origin,
            bodies,
        )


def concat(parts: Sequence[Rows]) -> Rows:
    """One after the other, as the join gives them: without weights and fields."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return RowList().take()
    bodies: list[bytes] = []
    for part in parts:
        bodies += part.bodies
    return Rows(
        np.concatenate([p.ts for p in parts]),
        np.concatenate([p.stream for p in parts]),
        np.concatenate([p.flags for p in parts]),
        np.concatenate([p.off for p in parts]),
        np.concatenate([p.nbytes for p in parts]),
        np.concatenate([p.interleaved for p in parts]),
        np.concatenate([p.ko for p in parts]),
        np.concatenate([p.origin for p in parts]),
        bodies,
    )


@dataclass(frozen=True, slots=True)
class PodView:
    """What rows and rules need of a pod version. `pattern` is the multiline pattern, or "";
    `treatment` None: nothing is wished."""

    workload: str = ""
    enriched: bool = False
    pattern: str = ""
    treatment: Treatment | None = None

    def unshed(self) -> "PodView":
        """The same, storing every line."""
        if self.treatment is None:
            return self
        return replace(self, treatment=self.treatment.unshed())


@dataclass(frozen=True, slots=True)
class Origin:
    """What is the same for all rows of a chunk."""

    file_id: int
    source: Source
    pod: PodView


@dataclass(slots=True)
class Origins:
    """The distinct origins of a batch."""

    items: list[Origin] = field(default_factory=list)
    _index: dict[tuple[int, PodView], int] = field(default_factory=dict)

    def index(self, file_id: int, source: Source, pod: PodView) -> int:
        key = (file_id, pod)
        found = self._index.get(key)
        if found is None:
            found = self._index[key] = len(self.items)
            self.items.append(Origin(file_id, source, pod))
        return found


def boundaries_hash(rows: Rows, origins: Origins) -> str:
    """Which bytes of which file each row holds, as 16 hex digits. Independent of the order of
    rows, and of everything that does not decide what is stored once and only once."""
    if not len(rows):
        return "0" * 16
    ids = np.array([origin.file_id for origin in origins.items], np.uint64)
    mix = ids[rows.origin] ^ (rows.off.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    mix ^= rows.nbytes.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mix ^= mix >> np.uint64(29)
    mix *= np.uint64(0xBF58476D1CE4E5B9)
    mix ^= mix >> np.uint64(32)
    return f"{int(mix.sum(dtype=np.uint64)):016x}"
