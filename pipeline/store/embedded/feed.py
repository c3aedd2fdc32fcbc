"""Data of an INSERT on its way into the engine, in bounded memory."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from pipeline.store.embedded.failure import EngineError

_PIPE_BYTES = 1 << 20
_POISON = b"\x01\x01"  # one column, one row, and then nothing: no reader accepts it

Piece = bytes | memoryview


def through_pipe(run: Callable[[str], None], blocks: Iterable[Sequence[Piece]]) -> None:
    """Call `run` with the path of a pipe, on another thread, and write the blocks into it.
    Raises what `run` raises, or what `blocks` raises after `run` was made to fail."""
    read_end, write_end = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    failures: list[EngineError] = []

    def work() -> None:
        try:
            run(f"/proc/self/fd/{read_end}")
        except EngineError as error:
            failures.append(error)
        finally:
            os.close(read_end)

    thread = threading.Thread(target=work, name="insert")
    thread.start()
    try:
        _write(write_end, blocks)
    finally:
        thread.join()
    if failures:
        raise failures[0]


def _write(end: int, blocks: Iterable[Sequence[Piece]]) -> None:
    """Until the data ends. When the statement has failed, the rest is read and dropped. When
    the data itself fails, poison makes the statement fail too: an end of file would commit."""
    listening = True
    try:
        for block in blocks:
            for piece in block:
                rest = memoryview(piece)
                while listening and len(rest):
                    try:
                        rest = rest[os.write(end, rest) :]
                    except BrokenPipeError:
                        listening = False
    except BaseException:
        with suppress(OSError):
            os.write(end, _POISON)
        raise
    finally:
        os.close(end)
