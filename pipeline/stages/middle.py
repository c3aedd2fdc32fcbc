"""Lines that stop in one chunk and go on in another: what a file must know to go on right.

Normally a line's own `Open` state says it. Three cases need help: a carry that is rebuilt after
a cut (the line's header is out of reach), a line that was left out because the store has it
(its rest must still find its stream), and a dead letter that holds only the rest of a line.
"""

from pipeline.contract.record import STARTS_MID_LINE, Chunk
from pipeline.stages.carry import CarryEntry, FileState, Open
from pipeline.stages.lines import RAW
from pipeline.stages.pieces import PieceChunk, first_time


def expect(file: FileState, event: Chunk, entry: CarryEntry) -> None:
    """A carry entry names this chunk: from here on its stream is taken again. A line that was
    cut goes on as a row that continues the one before."""
    if file.only is None:
        file.only, file.next = {}, event.offset
    first = event.offset + entry.pos
    if entry.fragment and not event.flags & STARTS_MID_LINE:
        file.next = max(file.next, first)  # the chunk was cut there the first time, too
    file.only[entry.stream] = first
    if entry.stream == RAW and entry.ts:
        file.last_ts = entry.ts
    if entry.cut:
        file.open[entry.stream] = Open(
            entry.ts,
            entry.stream,
            first,
            entry.rec,
            entry.pos,
            entry.flags,
            cut=True,
            fragment=entry.fragment,
            fragment_more=entry.more,
            mid=entry.fragment,
            mid_more=entry.more,
            end=first,
            end_rec=entry.rec,
            end_pos=entry.pos,
            end_fragment=entry.fragment,
        )


def expect_rest(file: FileState, rec: int, event: Chunk, stream: int) -> None:
    """This chunk begins in the middle of a line of `stream`, and nothing before it is known."""
    ts, start = first_time(event), event.offset
    file.open[stream] = Open(ts, stream, start, rec, 0, cut=True, mid=True, end=start)


def follow_middle(chunk: PieceChunk, now_ms: int) -> None:
    """Know whether, and in which line, the file stopped in the middle of one. That holds also
    when the line itself was left out, because the store has it: the chunk that brings its rest
    must still find its stream."""
    file = chunk.file
    if chunk.lead is not None and not chunk.goes_on():
        line = file.open.get(chunk.lead.stream)
        if line is not None and line.mid and not line.nbytes:
            del file.open[chunk.lead.stream]
    if not chunk.torn:
        return
    stream, more = chunk.tail
    line = file.open.get(stream)
    if line is None and chunk.cover is not None:
        stop = chunk.start + len(chunk.raw)
        pos = stop - chunk.event.offset
        line = Open(file.last_ts or 0, stream, stop, chunk.rec, pos, cut=True, end=stop)
        line.last_ms, line.end_rec, line.end_pos = now_ms, chunk.rec, pos
        file.open[stream] = line
    if line is not None:
        line.mid, line.mid_more = True, more
