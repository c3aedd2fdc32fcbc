"""The judgement: every byte the oracle wrote against every row, gap and end in the store.

Works on physical lines (what stands between two newlines in a file) of the oracle's mirror. A
row claims the lines of its stream from its offset on, as many as its bytes are; each line must
be claimed exactly once, and the row's body must be what those lines hold. A line that nobody
claimed is lost, and for that there are three explanations, in this order:

  named    a gap record of its file covers it, the file was deleted, and the collector was away
  tail     its file's gap or end says `exact = 0` and the line lies behind: written after the
           collector looked for the last time
  unseen   its file has left no trace at all: created and deleted while the collector was away

Everything else is a problem, and so is a gap or a loss while nobody was away.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from collectors.logs.identity import file_id, first_line
from pipeline.console.kubelet_lines import SEQUENCE
from pipeline.contract.tables import PARTIAL
from pipeline.store.protocol import Store
from tests.chaos.writer import Generation

_SEQUENCE = re.compile(SEQUENCE.encode())
_ROWS = f"""
SELECT file_id, off, nbytes, toString(stream), flags, CRC32(body),
       toUInt64OrZero(extract(body, '{SEQUENCE}')), pod_uid
FROM logs ORDER BY file_id, off
"""
_GRACE = 2.5  # from a file's creation to when a collector that runs has seen it
_BEHIND = 30.0  # how long a collector may hold a deleted file because the bus is away
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Outage:
    """The collector was away. `fatal`: it lost its descriptors and what it had not kept."""

    start: float
    stop: float
    fatal: bool


N = TypeVar("N", int, float)
Span = tuple[float, float]


@dataclass(slots=True)
class File:
    """One generation, cut into physical lines."""

    generation: Generation
    data: bytes
    offsets: list[int] = field(default_factory=list)
    index: dict[int, int] = field(default_factory=dict)
    claims: list[int] = field(default_factory=list)
    gaps: list[tuple[int, int, bool]] = field(default_factory=list)
    ends: list[tuple[int, bool]] = field(default_factory=list)
    known: bool = False

    def cut(self) -> None:
        at = 0
        while at < len(self.data):
            self.index[at] = len(self.offsets)
            self.offsets.append(at)
            at = self.data.index(b"\n", at) + 1
        self.offsets.append(at)
        self.claims = [0] * (len(self.offsets) - 1)

    def line(self, number: int) -> tuple[str, bool, bytes]:
        """Stream, whether it is the last part of what was printed, content."""
        text = self.data[self.offsets[number] : self.offsets[number + 1] - 1]
        _, stream, tag, content = text.split(b" ", 3)
        return stream.decode(), tag == b"F", content

    def claim(self, off: int, nbytes: int, stream: str) -> tuple[bytes, bool] | str:
        """Take the lines of a row: body and whether it is whole; or what is wrong."""
        number = self.index.get(off)
        if number is None:
            return "starts in the middle of a line"
        body, whole = [], False
        while nbytes > 0:
            if number >= len(self.claims):
                return "goes beyond the end of the file"
            its, whole, content = self.line(number)
            if its == stream:
                self.claims[number] += 1
                nbytes -= self.offsets[number + 1] - self.offsets[number]
                body.append(content)
            number += 1
        return (b"".join(body), whole) if nbytes == 0 else "ends in the middle of a line"

    def lost(self) -> list[tuple[int, int]]:
        """Byte ranges of the lines that nobody claimed."""
        return [
            (self.offsets[n], self.offsets[n + 1]) for n, claims in enumerate(self.claims)
            if not claims
        ]  # fmt: skip

    def where(self, off: int) -> str:
        g = self.generation
        return f"{g.uid} restart {g.restart} {g.name} ({g.raw}) at {off}"


@dataclass(slots=True)
class Verdict:
    lines: int = 0
    lost_named: int = 0
    lost_tail: int = 0
    lost_unseen: int = 0
    unseen_files: int = 0
    named_bytes: int = 0
    partial_rows: int = 0
    problems: list[str] = field(default_factory=list)
    cut_files: set[int] = field(default_factory=set)
    named_by_file: dict[int, int] = field(default_factory=dict)

    def say(self, text: str) -> None:
        self.problems.append(text)

    def document(self) -> dict[str, Any]:
        return {
            "physical_lines": self.lines,
            "named_lines": self.lost_named,
            "named_bytes": self.named_bytes,
            "tail_lines": self.lost_tail,
            "unseen_lines": self.lost_unseen,
            "unseen_files": self.unseen_files,
            "partial_rows": self.partial_rows,
            "problem_count": len(self.problems),
            "problems": self.problems[:_SHOWN],
        }


def judge(
    store: Store, generations: Iterable[Generation], mirror: Path, outages: Sequence[Outage]
) -> Verdict:
    verdict = Verdict()
    files = _files(generations, mirror)
    stored = _claim_rows(store, files, verdict)
    _read_ledger(store, files, verdict)
    expected: dict[str, set[int]] = defaultdict(set)
    away = _away(outages)
    for number, file in files.items():
        verdict.lines += len(file.claims)
        doubled = sum(claims > 1 for claims in file.claims)
        if doubled:
            first = next(n for n, c in enumerate(file.claims) if c > 1)
            verdict.say(f"{doubled} lines twice: {file.where(file.offsets[first])}")
        _explain(number, file, outages, away, verdict)
        _sequences(file, expected[file.generation.uid])
    _compare(stored, expected, verdict)
    return verdict


def _files(generations: Iterable[Generation], mirror: Path) -> dict[int, File]:
    files: dict[int, File] = {}
    for generation in generations:
        file = File(generation, (mirror / generation.raw).read_bytes())
        line = first_line(file.data, complete=True)
        if line is None:
            continue  # nothing was ever written to it
        file.cut()
        number = file_id(generation.uid, generation.container, generation.restart, line)
        assert number not in files, "the oracle wrote two files that begin alike"
        files[number] = file
    return files


def _claim_rows(
    store: Store, files: dict[int, File], verdict: Verdict
) -> dict[str, dict[int, int]]:
    """Claims; and per pod, how often each sequence number is stored."""
    stored: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for number, off, nbytes, stream, flags, crc, sequence, uid in store.stream(_ROWS).rows:
        if sequence:
            stored[uid][sequence] += 1
        file = files.get(number)
        if file is None:
            verdict.say(f"a row at {off} of file {number:016x}, which nobody wrote")
            continue
        file.known = True
        taken = file.claim(off, nbytes, stream)
        verdict.partial_rows += bool(flags & PARTIAL)
        if isinstance(taken, str):
            verdict.say(f"a row of {nbytes} bytes {taken}: {file.where(off)}")
        elif zlib.crc32(taken[0]) != crc:
            verdict.say(f"a row holds another text than its lines: {file.where(off)}")
        elif not taken[1] and not flags & PARTIAL:
            verdict.say(f"a row without its last part is not flagged: {file.where(off)}")
    return stored


def _read_ledger(store: Store, files: dict[int, File], verdict: Verdict) -> None:
    for number, start, stop, exact in store.query(
        "SELECT DISTINCT file_id, start, stop, exact FROM gaps"
    ).rows:
        if number not in files:
            verdict.say(f"a gap of file {number:016x}, which nobody wrote")
            continue
        files[number].known = True
        files[number].gaps.append((start, stop, bool(exact)))
    for number, event, size, exact in store.query(
        "SELECT DISTINCT file_id, toString(event), size, exact FROM files"
    ).rows:
        if number not in files:
            verdict.say(f"an {event} of file {number:016x}, which nobody wrote")
            continue
        files[number].known = True
        if event == "end":
            files[number].ends.append((size, bool(exact)))


def _explain(
    number: int, file: File, outages: Sequence[Outage], away: Sequence[Span], verdict: Verdict
) -> None:
    lost = file.lost()
    if not lost:
        return
    generation = file.generation
    where = f"{len(lost)} lines lost: {file.where(lost[0][0])}"
    if not generation.deleted:
        verdict.say(f"{where}: the file is still there")
        return
    if not file.known:
        verdict.unseen_files += 1
        verdict.lost_unseen += len(lost)
        if not any(_never_seen(generation, span) for span in away) and not _brief(generation):
            verdict.say(f"{where}: no trace of it, though the collector was there")
        return
    if not any(_left_behind(generation, outage) for outage in outages):
        verdict.say(f"{where}: lost while the collector was there")
    inexact = [stop for _, stop, exact in file.gaps if not exact]
    inexact += [size for size, exact in file.ends if not exact]
    gaps = _union((low, high) for low, high, _ in file.gaps)
    named, silent = 0, []
    for start, stop in lost:
        covered = sum(max(0, min(stop, high) - max(start, low)) for low, high in gaps)
        named += covered
        if covered:
            verdict.lost_named += 1
        elif inexact and start >= max(inexact):
            verdict.lost_tail += 1
            verdict.cut_files.add(number)
        else:
            silent.append(start)
    if silent:
        verdict.say(f"{len(silent)} lines lost and not named: {file.where(silent[0])}; "
                    f"gaps {file.gaps}, ends {file.ends}")  # fmt: skip
    verdict.named_bytes += named
    verdict.named_by_file[number] = named


def _union(ranges: Iterable[tuple[N, N]]) -> list[tuple[N, N]]:
    merged: list[tuple[N, N]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], high)
        else:
            merged.append((low, high))
    return merged


def _away(outages: Iterable[Outage]) -> list[Span]:
    """From when to when nothing new was seen. A collector that was there for a moment between two
    outages has not looked at everything."""
    return _union((outage.start - _GRACE, outage.stop) for outage in outages)


def _never_seen(generation: Generation, away: Span) -> bool:
    """It came and went while the collector was away."""
    return generation.opened >= away[0] and generation.deleted <= away[1] + _GRACE


def _brief(generation: Generation) -> bool:
    return generation.deleted - generation.opened < _GRACE


def _left_behind(generation: Generation, outage: Outage) -> bool:
    """It was there, or held open, when the collector died, and gone when it was back."""
    return (
        outage.fatal
        and generation.opened <= outage.stop
        and generation.deleted >= outage.start - _BEHIND
        and generation.deleted <= outage.stop + _GRACE
    )


def _sequences(file: File, expected: set[int]) -> None:
    """Sequence numbers of the lines that are stored; a number stands in one of a line's parts."""
    for number, claims in enumerate(file.claims):
        if claims and (found := _SEQUENCE.search(file.line(number)[2])):
            expected.add(int(found[1]))


def _compare(
    stored: dict[str, dict[int, int]], expected: dict[str, set[int]], verdict: Verdict
) -> None:
    """The same again by sequence number, without offsets."""
    for uid in stored.keys() | expected.keys():
        twice = [number for number, count in stored[uid].items() if count > 1]
        absent = expected[uid] - stored[uid].keys()
        strange = stored[uid].keys() - expected[uid]
        for what, numbers in (("twice", twice), ("absent", absent), ("unknown", strange)):
            if numbers:
                verdict.say(f"{uid}: {len(numbers)} sequence numbers {what}: "
                            f"{sorted(numbers)[:5]}")  # fmt: skip
