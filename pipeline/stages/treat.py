"""Rows -> the rows that are stored, as their configuration wishes; and an account of the others.

Chunks without a configuration cost nothing here: rows are looked at by origin. Order: what is not
stored goes first, then secrets, and fields are read from what is left, so that no secret becomes
a field. The bytes of a row (off, nbytes) stay those of its file, whatever becomes of its body.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pipeline.stages.fields import UNPARSED, as_json
from pipeline.stages.lines import Ints
from pipeline.stages.rows import Origin, Origins, Rows
from pipeline.stages.shed import REASONS, Limiter, shares
from pipeline.stages.treatment import Treatment


@dataclass(frozen=True, slots=True)
class Shed:
    """Lines of one file that are not stored, for one reason. `low` and `high`: the first byte of
    the first and the byte after the last; what lies between them may be stored."""

    origin: Origin
    reason: str
    rows: int
    nbytes: int
    low: int
    high: int
    ts: int
    ko: int


@dataclass(slots=True)
class Treated:
    rows: Rows
    shed: list[Shed] = field(default_factory=list)
    redacted: Counter[str] = field(default_factory=Counter)
    unparsed: Counter[str] = field(default_factory=Counter)
    mistakes: dict[str, tuple[int, bytes]] = field(default_factory=dict)  # whose parse; lines, one


def treat(rows: Rows, origins: Origins, limiter: Limiter) -> Treated:
    """In the order of the rows."""
    wanted = [i for i, origin in enumerate(origins.items) if origin.pod.treatment is not None]
    done = Treated(rows)
    if not wanted or not len(rows):
        return done
    keep = np.ones(len(rows), np.bool_)
    weight = np.ones(len(rows), np.float64)
    fields = [b""] * len(rows)
    bodies = list(rows.bodies)
    for origin, at in _by_origin(rows, wanted):
        one = origins.items[origin]
        wish = one.pod.treatment
        if wish is None:
            continue
        reason, weights = _shares(rows, one, wish, at, limiter)
        done.shed += _account(rows, one, at, reason)
        keep[at[reason >= 0]] = False
        at, weights = at[reason < 0], weights[reason < 0]
        weight[at] = weights
        _rewrite(bodies, fields, wish, at.tolist(), done)
    done.rows = Rows(
        rows.ts, rows.stream, rows.flags, rows.off, rows.nbytes, rows.interleaved, rows.ko,
        rows.origin, bodies,
        weight=weight if (weight != 1.0).any() else None,
        fields=fields if any(fields) else None,
    )  # fmt: skip
    if not keep.all():
        done.rows = done.rows.select(keep)
    return done


def _by_origin(rows: Rows, wanted: list[int]) -> Iterator[tuple[int, Ints]]:
    chosen = np.flatnonzero(np.isin(rows.origin, wanted))
    chosen = chosen[np.argsort(rows.origin[chosen], kind="stable")]
    stops = np.flatnonzero(np.diff(rows.origin[chosen], append=-1)) + 1
    start = 0
    for stop in stops.tolist():
        yield int(rows.origin[chosen[start]]), chosen[start:stop]
        start = stop


def _shares(
    rows: Rows, origin: Origin, wish: Treatment, at: Ints, limiter: Limiter
) -> tuple[Ints, "np.ndarray[tuple[int], np.dtype[np.float64]]"]:
    found = shares(
        wish,
        [rows.bodies[i] for i in at.tolist()],
        file_id=origin.file_id,
        stream=rows.stream[at],
        off=rows.off[at],
        nbytes=rows.nbytes[at],
        ts=rows.ts[at],
        limiter=limiter,
        bucket=(origin.source.uid, origin.source.container, origin.source.file),
    )
    return found.reason.astype(np.int64), found.weight


def _account(rows: Rows, origin: Origin, at: Ints, reason: Ints) -> Iterator[Shed]:
    for number, name in enumerate(REASONS):
        gone = at[reason == number]
        if not len(gone):
            continue
        stop = rows.off[gone] + rows.nbytes[gone] + rows.interleaved[gone]
        yield Shed(
            origin,
            name,
            len(gone),
            int(rows.nbytes[gone].sum()),
            int(rows.off[gone].min()),
            int(stop.max()),
            int(rows.ts[gone].max()),
            int(rows.ko[gone].max()),
        )


def _rewrite(
    bodies: list[bytes], fields: list[bytes], wish: Treatment, at: list[int], done: Treated
) -> None:
    if wish.redactor is not None:
        clean = wish.redactor.apply([bodies[i] for i in at], done.redacted)
        for i, body in zip(at, clean, strict=True):
            bodies[i] = body
    constant = as_json(wish.constants) if wish.constants else b""
    if wish.parser is None:
        for i in at if constant else ():
            fields[i] = constant
        return
    for i in at:
        found = wish.parser(bodies[i])
        if found is None:
            done.unparsed[wish.format] += 1
            by = wish.effective.decisions["parse"].origins[0]
            done.mistakes[by] = (done.mistakes.get(by, (0, b""))[0] + 1, bodies[i])
            found = {UNPARSED: wish.format}
        if found:
            # What every line gets comes first, too: there is an end to how many fields one has.
            fields[i] = as_json({**wish.constants, **found, **wish.constants})
        else:
            fields[i] = constant
