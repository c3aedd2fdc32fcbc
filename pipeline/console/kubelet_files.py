"""One container's log files, written as containerd does and rotated as the kubelet does.

containerd: `<RFC3339Nano> <stream> <P|F> <content>`, trailing zeros of the fraction dropped,
content split at 16,384 bytes, the rest of a line cut off by the end of the process stays a `P`
without an `F`. kubelet (container_log_manager.go): remove `.tmp` files and originals that are
already compressed, remove the oldest until MaxFiles - 2 remain, gzip what is not compressed
(`X.tmp`, rename to `X.gz`, unlink X), rename `N.log` to `N.log.YYYYMMDD-HHMMSS`, and only then
ask the runtime to open a new file: until it has, lines still go to the renamed one.

State: the open descriptor; bytes of a write that was torn (`held`), which always go to the file
they were meant for; and the counts of the oracle. Nothing is counted that is not written by the
time `flush` returns.
"""

import gzip
import os
import shutil
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pipeline.base.clock import Clock
from pipeline.console.kubelet_lines import Lines, Moment

PART = 16_384  # containerd's max_container_log_line_size
MODE = 0o640
_SECOND = 1_000_000_000


@dataclass(slots=True)
class Counts:
    """What the oracle knows of one container."""

    lines: int = 0  # sequence numbers 1 … lines have been written
    bytes: int = 0  # raw bytes in the log files, all restarts
    crc32_sum: int = 0  # sum of zlib.crc32(line) over all lines
    rotations: int = 0
    removed: int = 0  # generations deleted by rotation


class ContainerLog:
    """Writes one container. `lines` goes on over restarts, so sequence numbers do too."""

    def __init__(self, folder: Path, lines: Lines, *, rng: Random, moment: Moment) -> None:
        self.folder = folder
        self.restart = 0
        self.counts = Counts()
        self._lines = lines
        self._rng = rng
        self._moment = moment
        self._fd = -1
        self._size = 0
        self._ns = 0
        self._held = b""

    @property
    def path(self) -> Path:
        return self.folder / f"{self.restart}.log"

    @property
    def size(self) -> int:
        return self._size

    def start(self) -> None:
        """Create the live file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL, MODE)
        self._size = 0

    def write(self, budget: int, *, wall_ns: int, tear: bool = False) -> int:
        """About `budget` bytes of whole lines in one write, stamped from `wall_ns` on. With
        `tear` the last bytes are held back, as a reader sees them that comes between two
        writes. Returns the bytes that were made."""
        self._ns = max(self._ns, wall_ns)
        made = self._make(budget)
        data = self._held + made
        keep = self._rng.randrange(1, min(len(data), 300)) if tear and len(data) > 1 else 0
        self._put(data[: len(data) - keep])
        self._held = data[len(data) - keep :]
        return len(made)

    def flush(self) -> None:
        self._put(self._held)
        self._held = b""

    def exit(self, *, wall_ns: int, unterminated: bool) -> None:
        """The process ends; with `unterminated` in the middle of a line."""
        self.flush()
        if unterminated:
            self._ns = max(self._ns, wall_ns)
            stream, body = next(self._lines)
            self._count(body)
            parts = [body[i : i + PART] for i in range(0, len(body), PART)]
            data = b"".join(self._cri(stream, b"P", part) for part in parts)
            self.counts.bytes += len(data)
            self._put(data)
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            self.flush()
            os.close(self._fd)
            self._fd = -1

    def restarted(self) -> None:
        """The next instance of the container: a new file, the old one stays."""
        self.restart += 1
        self.start()

    def rotate(self, clock: Clock, *, max_files: int, late_bytes: int) -> None:
        """One turn of the kubelet's log manager. `late_bytes` are written after the rename
        and before the runtime has opened the new file."""
        self._clean_up(max_files)
        target = self._rotated_name(clock)
        self.path.rename(target)
        if late_bytes:
            self.write(late_bytes, wall_ns=clock.wall_ns())
        self.close()
        self.start()
        self.counts.rotations += 1

    def _rotated_name(self, clock: Clock) -> Path:
        """The kubelet's name has seconds and no counter. Its interval keeps names apart; here
        a second turn within a second waits for the next one."""
        while True:
            stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(clock.wall_ns() // _SECOND))
            target = self.folder / f"{self.restart}.log.{stamp}"
            if not target.exists() and not target.with_name(target.name + ".gz").exists():
                return target
            clock.sleep(1.0 - clock.wall_ns() % _SECOND / _SECOND)

    def _clean_up(self, max_files: int) -> None:
        rotated = sorted(self.folder.glob(f"{self.restart}.log.*"))
        for path in rotated:
            if path.suffix == ".tmp" or path.with_name(path.name + ".gz") in rotated:
                path.unlink()
        rotated = sorted(path for path in rotated if path.exists())
        excess = max(0, len(rotated) - (max_files - 2))
        for path in rotated[:excess]:
            path.unlink()
            self.counts.removed += 1
        for path in rotated[excess:]:
            if path.suffix != ".gz":
                _compress(path)

    def _make(self, budget: int) -> bytes:
        """The hot path: whole CRI lines of at least `budget` bytes."""
        made: list[bytes] = []
        size = count = crc = base = boundary = 0
        second = b""
        ns = self._ns
        step = 1 + self._rng.getrandbits(10)
        crc32 = zlib.crc32
        for stream, body in self._lines:
            ns += step
            if ns >= boundary:
                base = ns - ns % _SECOND
                boundary = base + _SECOND
                second = _second(ns // _SECOND)
                self._moment.move(ns // _SECOND)
            count += 1
            crc += crc32(body)
            if len(body) > PART:
                self._ns = ns
                line = self._split(stream, body)
                ns = self._ns
            elif ns % 10:
                line = b"%b.%09dZ %b F %b\n" % (second, ns - base, stream, body)
            else:
                line = b"%b%bZ %b F %b\n" % (second, _fraction(ns - base), stream, body)
            made.append(line)
            size += len(line)
            if size >= budget:
                break
        self._ns = ns
        self.counts.lines += count
        self.counts.crc32_sum += crc
        data = b"".join(made)
        self.counts.bytes += len(data)
        return data

    def _split(self, stream: bytes, body: bytes) -> bytes:
        """Parts of a long line, with a line of the other stream between two of them, as two
        pipes of one container are read by two goroutines."""
        parts = [body[i : i + PART] for i in range(0, len(body), PART)]
        made = [self._cri(stream, b"P", part) for part in parts[:-1]]
        other, text = next(self._lines)
        between = other != stream and len(text) <= PART
        if between:
            made.insert(self._rng.randrange(1, len(made) + 1), self._whole(other, text))
        made.append(self._cri(stream, b"F", parts[-1]))
        if not between:
            made.append(self._whole(other, text))
        return b"".join(made)

    def _whole(self, stream: bytes, body: bytes) -> bytes:
        self._count(body)
        parts = [body[i : i + PART] for i in range(0, len(body), PART)] or [b""]
        made = [self._cri(stream, b"P", part) for part in parts[:-1]]
        return b"".join([*made, self._cri(stream, b"F", parts[-1])])

    def _cri(self, stream: bytes, tag: bytes, part: bytes) -> bytes:
        self._ns += 1
        stamp = _second(self._ns // _SECOND) + _fraction(self._ns % _SECOND)
        return b"%bZ %b %b %b\n" % (stamp, stream, tag, part)

    def _count(self, body: bytes) -> None:
        self.counts.lines += 1
        self.counts.crc32_sum += zlib.crc32(body)

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._size += len(data)

    def remove(self) -> None:
        """The kubelet deletes the container's folder; an open descriptor still reads."""
        self.close()
        shutil.rmtree(self.folder)


def _second(second: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()


def _fraction(ns: int) -> bytes:
    """As Go's RFC3339Nano: no trailing zeros, no dot either when nothing is left."""
    return (b".%09d" % ns).rstrip(b"0").rstrip(b".")


def _compress(path: Path) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with path.open("rb") as source, gzip.open(temporary, "wb", compresslevel=1) as target:
        shutil.copyfileobj(source, target, 1 << 20)
    temporary.rename(path.with_name(path.name + ".gz"))
    path.unlink()
