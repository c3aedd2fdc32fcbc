"""journald, through `journalctl -o json --follow` in a process of its own.

Before it follows, a first call asks whether the entry to continue at is still there; if not,
entries may be missing in between, and that is told (`Lost`). Whatever ends the child (an update,
a damaged file, the out-of-memory killer), it is started again where it was, after a pause.

Nothing here waits: the child writes into a pipe that is read when there is time, and a child whose
pipe is not read waits by itself. State: the child, what it wrote beyond the last whole line, and
the cursor of the last entry that was given away.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from collectors.journal.entries import Entry, Lost, journald_entry, text_of
from pipeline.base.clock import Clock
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics
from pipeline.contract.documents import read_json

if TYPE_CHECKING:
    from collectors.journal.config import JournalConfig

# What is read of an entry; journalctl adds cursor, times and boot.
_FIELDS = "MESSAGE,PRIORITY,_PID,_SYSTEMD_UNIT,UNIT,_TRANSPORT"
_PIECE = 256 * 1024
_LONGEST_LINE = 16 * 1024 * 1024
_STDERR = 2000
_PAUSE_S = (1.0, 60.0)
_STEADY_S = 60.0  # a child that lived so long was well
_PROBE_S = 30.0
_HELD_BACK_S = 10.0  # a child whose output was not read for so long is started anew
_REAP_TRIES, _REAP_S = 20, 0.005


class Child:
    """A process whose output is read without waiting."""

    def __init__(self, arguments: list[str]) -> None:
        self.out, out = os.pipe()
        self.err, err = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            self.pid = os.posix_spawnp(
                arguments[0],
                arguments,
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, out, 1),
                    (os.POSIX_SPAWN_DUP2, err, 2),
                ],
                setsigdef=[signal.SIGPIPE],
            )
        except OSError:
            os.close(self.out)
            os.close(self.err)
            raise
        finally:
            for fd in (out, err, null):
                os.close(fd)
        os.set_blocking(self.out, False)
        os.set_blocking(self.err, False)
        self.said = b""
        self.ended = False

    def read(self, size: int) -> bytes:
        """What it has written; nothing if there is nothing now, or (then `ended`) ever."""
        self._listen()
        try:
            data = os.read(self.out, size)
        except BlockingIOError:
            return b""
        if not data:
            self.ended = True
        return data

    def _listen(self) -> None:
        with suppress(BlockingIOError):
            while data := os.read(self.err, _STDERR):
                self.said = (self.said + data)[-_STDERR:]

    def close(self, *, kill: bool = True) -> int | None:
        """Ends it if it has not ended. Its exit status; None if it cannot be told yet: a process
        that waits for a dead disk dies when the disk says so."""
        self._listen()
        if kill:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        os.close(self.out)
        os.close(self.err)
        for _ in range(_REAP_TRIES):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(_REAP_S)
        return None


class Journald:
    """A source of entries. `begin`, then `read` again and again."""

    def __init__(self, config: "JournalConfig", *, telemetry: Telemetry, clock: Clock) -> None:
        self._config = config
        self._telemetry = telemetry
        self._clock = clock
        self._units = frozenset(config.units)
        self._cursor = ""
        self._inclusive = True  # the entry at the cursor was not given away yet
        self._child: Child | None = None
        self._probing = False
        self._rest = b""
        self._started = self._read_at = 0.0
        self._pause_s = _PAUSE_S[0]
        self._not_before = float("-inf")
        self._unreaped: list[int] = []

    def begin(self, cursor: str) -> None:
        """Where to start: at this entry; empty: with the last `backlog_lines`."""
        self._cursor = cursor

    def read(self, size: int) -> Iterator[Entry | Lost]:
        """Entries that are there now, from about `size` bytes of output."""
        now = self._clock.monotonic()
        if self._child is not None and now - self._read_at > _HELD_BACK_S:
            # It may have slept through a clean-up, and would pass over what was removed.
            self._launch(now, probing=bool(self._cursor))
        self._read_at = now
        if self._child is None and now >= self._not_before:
            self._launch(now, probing=bool(self._cursor))
        if self._probing and self._child is not None and now - self._started > _PROBE_S:
            self._end(kill=True)
            self._wait(now, "did not answer")
        while size > 0 and (child := self._child) is not None:
            data = child.read(_PIECE)
            size -= len(data)
            yield from self._lines(data)
            if child is not self._child:
                continue  # the probe has its answer
            if child.ended:
                yield from self._over(now, child)
            elif not data:
                return

    def close(self) -> None:
        self._end(kill=True)

    # -- the child ---------------------------------------------------------------------------

    def _end(self, *, kill: bool) -> int | None:
        child, self._child = self._child, None
        if child is None:
            return None
        status = child.close(kill=kill)
        if status is None:
            self._unreaped.append(child.pid)
        return status

    def _launch(self, now: float, *, probing: bool) -> None:
        self._end(kill=True)
        self._unreaped = [pid for pid in self._unreaped if not os.waitpid(pid, os.WNOHANG)[0]]
        self._probing, self._rest, self._started = probing, b"", now
        try:
            self._child = Child(self._arguments())
        except OSError as error:
            self._wait(now, f"cannot be started: {error.strerror}")

    def _arguments(self) -> list[str]:
        config = self._config
        arguments = [config.command, "--output=json", "--all", "--no-pager", "--quiet"]
        if config.directory is not None:
            arguments.append(f"--directory={config.directory}")
        if self._probing:
            return [*arguments, "--output-fields=_PID", f"--cursor={self._cursor}", "--lines=1"]
        arguments += [f"--output-fields={_FIELDS}", "--follow"]
        if self._cursor:
            arguments += ["--no-tail", f"--cursor={self._cursor}"]
        else:
            arguments.append(f"--lines={config.backlog_lines}")
        matches = [f"_SYSTEMD_UNIT={unit}" for unit in config.units]
        matches += ["_PID=1"] * config.systemd + ["_TRANSPORT=kernel"] * config.kernel
        for match in matches:
            arguments += [match, "+"]
        return arguments[:-1] if matches else arguments

    def _over(self, now: float, child: Child) -> Iterator[Lost]:
        """The child has written all that it ever will."""
        status = self._end(kill=False)
        if self._probing and status == 0:
            yield Lost("the journal holds nothing that new any more")
            self._launch(now, probing=False)
            return
        said = child.said.decode("utf-8", "replace").strip()[-500:]
        self._wait(now, f"ended with status {status}: {said}")

    def _wait(self, now: float, why: str) -> None:
        if now - self._started >= _STEADY_S:
            self._pause_s = _PAUSE_S[0]
        self._not_before = now + self._pause_s
        self._telemetry.count(metrics.JOURNAL_RESTARTS)
        self._telemetry.event(
            "journal-reader-ended", level="warn", command=self._config.command, why=why,
            again_in_s=self._pause_s,
        )  # fmt: skip
        self._pause_s = min(2 * self._pause_s, _PAUSE_S[1])

    # -- its output --------------------------------------------------------------------------

    def _lines(self, data: bytes) -> Iterator[Entry | Lost]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            self._telemetry.event("journal-entry-too-long", level="error", bytes=len(self._rest))
            self._rest = b""
            yield Lost("an entry longer than can be read")
        for line in lines:
            if not line.startswith(b"{"):  # `-- Boot …`, `-- No entries --`, the end of a long one
                continue
            if self._probing:
                yield from self._probed(line)
                return
            yield from self._entry(line)

    def _probed(self, line: bytes) -> Iterator[Lost]:
        """The first entry at or behind the cursor: the very one, if it is still there."""
        try:
            found = text_of(read_json(line).get("__CURSOR"))
        except (ValueError, AttributeError):
            found = ""
        if found != self._cursor:
            self._telemetry.event("journal-vacuumed", level="warn", cursor=self._cursor)
            yield Lost("entries were removed from the journal before they were read")
        self._launch(self._clock.monotonic(), probing=False)

    def _entry(self, line: bytes) -> Iterator[Entry]:
        try:
            fields = read_json(line)
            entry = journald_entry(
                fields,
                units=self._units,
                systemd=self._config.systemd,
                kernel=self._config.kernel,
            )
        except (ValueError, AttributeError) as error:
            self._telemetry.event("journal-entry-unreadable", level="warn", why=str(error)[:200])
            return
        cursor = text_of(fields.get("__CURSOR"))
        known = cursor == self._cursor and not self._inclusive
        self._cursor, self._inclusive = cursor, False
        if entry is not None and not known:
            yield entry
