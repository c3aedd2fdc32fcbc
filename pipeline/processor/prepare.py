"""The records of a batch -> everything that will be stored of them.

The only questions to the outside are the ledger's: marks of files that are seen for the first
time, and the rows that a replayed chunk may repeat. Nothing is written here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.record import Chunk, FileEnd, FileOpen, Gap
from pipeline.processor.ask import Asker
from pipeline.processor.dead import STREAM_HEADER, Dead, dead_record
from pipeline.processor.metadata import CarryNote
from pipeline.processor.partition import Item, Partition
from pipeline.processor.side import FileRow, GapRow
from pipeline.stages.cover import Cover, StoredRow
from pipeline.stages.decode import Undecodable, Unpacker
from pipeline.stages.enrich import PodTable
from pipeline.stages.rows import Origins, Rows, boundaries_hash, concat
from pipeline.stages.treat import Shed, treat

_REPLAYS_REMEMBERED = 10_000


@dataclass(slots=True)
class Prepared:
    """A batch, ready to be declared and stored."""

    first: int
    last: int
    now_ms: int
    items: Sequence[Item]
    carry: CarryNote  # what stays unfinished after it
    rows: Rows = field(default_factory=lambda: concat([]))
    origins: Origins = field(default_factory=Origins)
    shape: str = ""
    files: list[FileRow] = field(default_factory=list)
    gaps: list[GapRow] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    shed: list[Shed] = field(default_factory=list)
    redacted: Counter[str] = field(default_factory=Counter)
    unparsed: Counter[str] = field(default_factory=Counter)
    mistakes: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    replayed: dict[int, list[StoredRow]] = field(default_factory=dict)  # rows of letters put back
    raw_bytes: int = 0
    lines: int = 0
    trimmed: int = 0
    partial: int = 0

    def empty(self) -> bool:
        return not (len(self.rows) or self.files or self.gaps or self.dead or self.shed)

    def unenriched(self) -> int:
        """Rows of pods that are stored with names from the path only."""
        bare = [bool(o.source.uid) and not o.pod.enriched for o in self.origins.items]
        return int(np.array(bare, np.bool_)[self.rows.origin].sum()) if any(bare) else 0

    def leave_out(self, asker: Asker) -> None:
        """The rows beside the log rows that an earlier attempt has stored. (Log rows were left
        out line by line.)"""
        first, last = self.first, max(self.first, self.last)
        if self.files:
            there = asker.sources("files", first, last)
            self.files = [row for row in self.files if row[0] not in there]
        if self.gaps:
            there = asker.sources("gaps", first, last)
            self.gaps = [row for row in self.gaps if row[0] not in there]
        if self.dead:
            ids = asker.dead_ids(min(dead.offset for dead in self.dead), last)
            self.dead = [dead for dead in self.dead if dead.id not in ids]

    def lacks_rows(self, asker: Asker, need: int) -> bool:
        """Is a log row not in the store? They come of records from `need` on."""
        if not len(self.rows):
            return False
        return len(_not_stored(self, asker.rows_of_range(need, self.last))) > 0

    def lacks_side(self, asker: Asker) -> bool:
        """Is anything of the rows beside them not in the store?"""
        rest = replace(self)
        rest.leave_out(asker)
        unsaid = bool(self.shed) and not asker.sources("shed", self.first, self.last)
        return bool(rest.files or rest.gaps or rest.dead) or unsaid


class Preparer:
    """Runs the stages over a batch. Keeps one decompressor and the pod table at hand."""

    def __init__(self, pods: PodTable) -> None:
        self._unpacker = Unpacker()
        self._pods = pods

    def waits_for_pod(self, items: Sequence[Item]) -> bool:
        """Does a chunk name a pod version that has not been seen yet?"""
        chunks = (item.event for item in items if isinstance(item.event, Chunk))
        return any(not self._pods.knows(c.source.uid, c.pod_version) for c in chunks)

    def restore(self, partition: Partition, item: Item) -> None:
        """A record before the batch, read again for the sake of the carry."""
        chunk, offset = item.event, item.record.offset
        if not isinstance(chunk, Chunk) or chunk.replay:
            return
        if not partition.refinery.restores(offset, chunk):
            return
        raw = self._unpacker.unpack(chunk, item.record.value)
        if not isinstance(raw, Undecodable):
            pod = self._pods.view(chunk.source, chunk.pod_version, chunk.read_ms)
            partition.refinery.restore(offset, chunk, raw, pod, _cover(partition, chunk))

    def prepare(
        self,
        partition: Partition,
        items: Sequence[Item],
        *,
        now_ms: int,
        asker: Asker,
        max_lines: int | None,
    ) -> Prepared:
        """All rows that these records complete; the partition's state moves on. The batch ends
        early, with fewer items, once it has `max_lines` lines: headers only guess them."""
        refinery, first = partition.refinery, partition.start
        _mark_files(partition, items, asker)
        partial = refinery.partial
        refinery.begin(now_ms)
        batch = Prepared(first, first - 1, now_ms, items, partition.carry)
        batch.dead += partition.gone
        for count, item in enumerate(items, 1):
            batch.last = item.record.offset
            self._take(partition, item, batch, asker)
            if max_lines is not None and batch.lines >= max_lines:
                batch.items = items[:count]
                break
        last = batch.last
        batch.rows = refinery.finish(now_ms, first, last)
        batch.origins = refinery.origins
        if partition.stored is not None:
            batch.rows = _not_stored(batch, partition.stored)
        self._treat(partition, batch, asker)
        batch.shape = boundaries_hash(batch.rows, batch.origins)
        batch.carry = CarryNote.of(refinery.carry(), start=last + 1, base_ms=now_ms)
        batch.trimmed, batch.partial = refinery.trimmed, refinery.partial - partial
        return batch

    def _treat(self, partition: Partition, batch: Prepared, asker: Asker) -> None:
        """What the configurations wish. The account of shed lines is what is written last of a
        batch: when an earlier attempt has written it, whatever is left was shed by that one."""
        wished = any(origin.pod.treatment is not None for origin in batch.origins.items)
        if not wished:
            return
        done = treat(batch.rows, batch.origins, partition.limiter)
        batch.rows, batch.shed = done.rows, done.shed
        batch.redacted, batch.unparsed = done.redacted, done.unparsed
        batch.mistakes = done.mistakes
        if partition.stored is not None and asker.sources("shed", batch.first, batch.last):
            batch.rows, batch.shed = batch.rows.select(_never_shed(batch)), []

    def _take(self, partition: Partition, item: Item, batch: Prepared, asker: Asker) -> None:
        event, offset, refinery = item.event, item.record.offset, partition.refinery
        if isinstance(event, Undecodable):
            batch.dead.append(dead_record(item.record, event.reason, event.detail, None))
        elif isinstance(event, Chunk):
            self._chunk(partition, item, event, batch, asker)
        elif isinstance(event, FileOpen):
            batch.files.append((offset, event))
        elif isinstance(event, FileEnd):
            refinery.end(offset, event)
            batch.files.append((offset, event))
        elif isinstance(event, Gap):
            replayed = any(name == "replay" for name, _ in item.record.headers)
            unmeasured = event.start == event.stop  # says why, not how much: never known before
            if replayed or refinery.gap(offset, event, event.stop) or unmeasured:
                batch.gaps.append((offset, event))

    def _chunk(
        self, partition: Partition, item: Item, chunk: Chunk, batch: Prepared, asker: Asker
    ) -> None:
        refinery, offset = partition.refinery, item.record.offset
        batch.raw_bytes += chunk.raw_length
        if not chunk.replay and refinery.known(chunk):
            return
        raw = self._unpacker.unpack(chunk, item.record.value)
        if isinstance(raw, Undecodable):
            batch.dead.append(dead_record(item.record, raw.reason, raw.detail, chunk))
            if not chunk.replay:
                refinery.skip(offset, chunk)
            return
        batch.lines += raw.count(b"\n")
        pod = self._pods.view(chunk.source, chunk.pod_version, chunk.read_ms)
        if not chunk.replay:
            refinery.chunk(offset, chunk, raw, pod, _cover(partition, chunk))
        elif chunk.replay not in partition.replayed:
            _remember(partition.replayed, chunk.replay)
            here = batch.replayed.setdefault(chunk.file_id, [])
            stored = [*asker.rows_of_chunk(chunk), *partition.rows_before(chunk.file_id), *here]
            cover = Cover.of(stored)
            only = dict(item.record.headers).get(STREAM_HEADER, b"")
            stream = int(only) if only.isdigit() else None
            here += refinery.replayed(offset, chunk, raw, pod.unshed(), cover, stream)


def _remember(replayed: dict[str, None], replay: str) -> None:
    """Within this ownership; later the stored rows tell."""
    replayed[replay] = None
    while len(replayed) > _REPLAYS_REMEMBERED:
        del replayed[next(iter(replayed))]


def _not_stored(batch: Prepared, stored: Mapping[int, Sequence[StoredRow]]) -> Rows:
    """Lines were left out before they were joined; a row cut out of a longer line is left out
    here, when it is there already."""
    there = {(file_id, off, stop) for file_id, rows in stored.items() for off, stop, _, _ in rows}
    files = [origin.file_id for origin in batch.origins.items]
    rows = batch.rows
    keep = [
        (files[origin], off, stop) not in there
        for origin, (off, stop, _, _) in zip(rows.origin.tolist(), rows.stored(), strict=True)
    ]
    return rows if all(keep) else rows.select(np.array(keep, np.bool_))


def _never_shed(batch: Prepared) -> NDArray[np.bool_]:
    """Rows of containers that store every line."""
    wishes = [origin.pod.treatment for origin in batch.origins.items]
    return np.array([w is None or not w.sheds for w in wishes], np.bool_)[batch.rows.origin]


def _cover(partition: Partition, chunk: Chunk) -> Cover | None:
    return partition.covers.get(chunk.file_id) if partition.covers is not None else None


def _mark_files(partition: Partition, items: Sequence[Item], asker: Asker) -> None:
    """Files that this ownership has not seen: how far they are stored. One question."""
    unknown = {}
    for item in items:
        event = item.event
        if isinstance(event, Undecodable) or (isinstance(event, Chunk) and event.replay):
            continue
        file = partition.refinery.file(event)
        if not file.asked:
            unknown[event.file_id] = file
    if not unknown:
        return
    marks = asker.marks(sorted(unknown))
    for file_id, file in unknown.items():
        file.asked = True
        file.next = max(file.next, marks.get(file_id, 0))
