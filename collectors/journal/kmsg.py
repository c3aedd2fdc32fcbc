"""/dev/kmsg, where there is no journald: what the kernel says, record by record.

Each read gives one record: `PRIORITY,NUMBER,MICROSECONDS,FLAGS;text`, then lines of `KEY=value`
that begin with a space (Documentation/ABI/testing/dev-kmsg). The buffer is a ring: EPIPE, or a
number that is not the next one, says that records were overwritten before they were read.

Times are of the boot's clock; the wall clock is added once, at the start, so a record that is read
again after a restart may differ in its digits, not in its length.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator

from collectors.journal.entries import KERNEL, Entry, Lost, cursor_parts, lines_of
from pipeline.base.clock import Clock
from pipeline.base.errors import UsageError
from pipeline.base.telemetry import Telemetry

DEVICE = "/dev/kmsg"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
_RECORD = 8192  # CONSOLE_EXT_LOG_MAX; a read with less room fails
_HEAD = re.compile(rb"(\d+),(\d+),(\d+),[^;]*;")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


class Kmsg:
    """A source of entries. `opened` gives a descriptor of the device that does not block."""

    def __init__(
        self,
        *,
        telemetry: Telemetry,
        clock: Clock,
        opened: Callable[[], int] = lambda: os.open(DEVICE, os.O_RDONLY | os.O_NONBLOCK),
        boot: str = "",
    ) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._opened = opened
        self._boot = boot
        self._fd = -1
        self._next: int | None = None  # number of the record that should come
        self._epoch_us = 0  # the wall clock when the boot's clock was 0

    def begin(self, cursor: str) -> None:
        """Continue at this record; another boot's, or empty: with the oldest that is there."""
        try:
            if not self._boot:
                with open(BOOT_ID) as file:
                    self._boot = file.read().strip().replace("-", "")
            self._fd = self._opened()
        except OSError as error:
            raise UsageError(
                f"{error.filename or DEVICE}: the kernel's log cannot be read: {error.strerror}; "
                "run with CAP_SYSLOG and the device mounted, or set `journal.source` to off"
            ) from error
        parts = cursor_parts(cursor)
        if parts.get("b") == self._boot:
            self._next = int(parts.get("i", "0"), 16)
        now_us = round(self._clock.monotonic() * 1_000_000)
        self._epoch_us = self._clock.wall_ns() // 1000 - now_us

    def read(self, size: int) -> Iterator[Entry | Lost]:
        """Records that are there now, up to about `size` bytes."""
        while size > 0 and self._fd >= 0:
            try:
                record = os.read(self._fd, _RECORD)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EPIPE:
                    continue  # overwritten: the next record's number tells how many
                self._telemetry.event("kmsg-unreadable", level="error", why=error.strerror)
                self.close()  # the other logs of the node go on
                return
            if not record:
                return
            size -= len(record)
            yield from self._record(record)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _record(self, record: bytes) -> Iterator[Entry | Lost]:
        found = _HEAD.match(record)
        if found is None:
            return
        priority, number, micros = (int(group) for group in found.groups())
        if self._next is not None:
            if number < self._next:
                return
            if number > self._next:
                yield Lost(f"{number - self._next} records of the kernel were overwritten")
        self._next = number + 1
        text = _ESCAPE.sub(_octet, record[found.end() :].split(b"\n", 1)[0])
        wall_us = self._epoch_us + micros
        yield Entry(
            program=KERNEL,
            unit=KERNEL,
            cursor=f"s=kmsg-{self._boot};i={number:x};b={self._boot};m={micros:x};t={wall_us:x}",
            boot=self._boot,
            data=lines_of(
                text.decode("utf-8", "surrogateescape"),
                ts=wall_us * 1000,
                priority=priority & 7,
                pid=None,
                unit="",
            ),
        )


def _octet(found: re.Match[bytes]) -> bytes:
    return bytes([int(found.group(1), 16)])
