"""Rows beside the log rows: what happened to files, which bytes are gone, what was put aside.

Their times are the collectors' clocks, and the tables forget old rows: a time outside the window
is moved to its edge, as for log rows, so that a node with a wrong clock is still accounted for.
"""

from collections.abc import Sequence

from pipeline.base.block import Block, Column
from pipeline.contract.record import FileEnd, FileOpen, Gap, Source
from pipeline.contract.tables import FILE_EVENTS
from pipeline.processor.columns import stamps, texts, words
from pipeline.processor.dead import Dead
from pipeline.stages.treat import Shed

FileRow = tuple[int, FileOpen | FileEnd]  # source offset, event
GapRow = tuple[int, Gap]
Edges = tuple[int, int]  # of the window of times, in ms


def files_block(rows: Sequence[FileRow], partition: int, edges: Edges) -> Block:
    """Rows of table `files`."""
    events = [event for _, event in rows]
    ends = [event if isinstance(event, FileEnd) else None for event in events]
    return Block(
        {
            "ts": _times([event.seen_ms for event in events], edges),
            "event": stamps([FILE_EVENTS[event.kind] for event in events], "i1"),
            "file_id": stamps([event.file_id for event in events], "u8"),
            **_sources([event.source for event in events]),
            "size": stamps([end.size if end else 0 for end in ends], "u8"),
            "reason": words([end.reason if end else "" for end in ends]),
            "exact": stamps([end is None or end.exact for end in ends], "u1"),
            **_places([offset for offset, _ in rows], partition),
        }
    )


def gaps_block(rows: Sequence[GapRow], partition: int, edges: Edges) -> Block:
    """Rows of table `gaps`."""
    gaps = [gap for _, gap in rows]
    return Block(
        {
            "ts": _times([gap.seen_ms for gap in gaps], edges),
            "file_id": stamps([gap.file_id for gap in gaps], "u8"),
            **_sources([gap.source for gap in gaps]),
            "start": stamps([gap.start for gap in gaps], "u8"),
            "stop": stamps([gap.stop for gap in gaps], "u8"),
            "reason": words([gap.reason for gap in gaps]),
            "exact": stamps([gap.exact for gap in gaps], "u1"),
            **_places([offset for offset, _ in rows], partition),
        }
    )


def shed_block(rows: Sequence[Shed], partition: int, edges: Edges) -> Block:
    """Rows of table `shed`."""
    sources = [shed.origin.source for shed in rows]
    return Block(
        {
            "ts": _times([shed.ts // 1_000_000 for shed in rows], edges),
            "file_id": stamps([shed.origin.file_id for shed in rows], "u8"),
            **_sources(sources),
            "workload": words([shed.origin.pod.workload for shed in rows]),
            "reason": words([shed.reason for shed in rows]),
            "rows": stamps([shed.rows for shed in rows], "u8"),
            "bytes": stamps([shed.nbytes for shed in rows], "u8"),
            "low": stamps([shed.low for shed in rows], "u8"),
            "high": stamps([shed.high for shed in rows], "u8"),
            **_places([shed.ko for shed in rows], partition),
        }
    )


def dead_block(rows: Sequence[Dead], partition: int, now_ms: int) -> Block:
    """Rows of table `dead_letters`."""
    return Block(
        {
            "ts": stamps([now_ms] * len(rows), "i8"),
            "id": texts([dead.id for dead in rows]),
            "reason": words([dead.reason for dead in rows]),
            "detail": texts([dead.detail for dead in rows]),
            "file_id": stamps([dead.file_id for dead in rows], "u8"),
            "off": stamps([dead.off for dead in rows], "u8"),
            "nbytes": stamps([dead.nbytes for dead in rows], "u4"),
            **_places([dead.offset for dead in rows], partition),
        }
    )


def _times(seen_ms: Sequence[int], edges: Edges) -> Column:
    low, high = edges
    return stamps([min(max(seen, low), high) for seen in seen_ms], "i8")


def _sources(sources: Sequence[Source]) -> dict[str, Column]:
    return {
        "node": words([source.node for source in sources]),
        "namespace": words([source.namespace for source in sources]),
        "pod": words([source.pod for source in sources]),
        "pod_uid": words([source.uid for source in sources]),
        "container": words([source.container for source in sources]),
        "restart": stamps([source.restart for source in sources], "u4"),
        "path": texts([source.path for source in sources]),
    }


def _places(offsets: Sequence[int], partition: int) -> dict[str, Column]:
    return {
        "kp": stamps([partition] * len(offsets), "u2"),
        "ko": stamps(offsets, "u8"),
    }
