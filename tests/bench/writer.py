"""Containers that write a steady rate: `python -m tests.bench.writer ROOT MBPS SECONDS ROTATE_MB`.

A process of its own, so that its work is not measured. Every line carries the time at which it
was written, as a runtime's line does. ROTATE_MB 0: never; else a file of that size is renamed
and a new one takes its name, as the kubelet does it.
"""

import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

from tests.bench.lines import runtime_pool

_STEP_S = 0.02


def start_writer(
    root: Path, *, mbps: float, seconds: float, rotate_mb: float = 0
) -> "subprocess.Popen[bytes]":
    words = [str(root), str(mbps), str(seconds), str(rotate_mb)]
    return subprocess.Popen([sys.executable, "-m", "tests.bench.writer", *words])


class _Container:
    def __init__(self, directory: Path) -> None:
        self._path = directory / "0.log"
        self._file = self._path.open("ab", 0)
        self._rotations = 0

    def write(self, data: bytes, rotate_bytes: float) -> None:
        self._file.write(data)
        if rotate_bytes and self._file.tell() > rotate_bytes:
            self._rotations += 1
            stamp = time.strftime("%Y%m%d-%H%M%S")
            self._path.rename(f"{self._path}.{stamp}{self._rotations:02}")
            self._file.close()
            self._file = self._path.open("ab", 0)


def write(root: Path, mbps: float, seconds: float, rotate_mb: float) -> int:
    containers = [_Container(directory) for directory in sorted(root.glob("*/*"))]
    pieces = cycle(runtime_pool(11))
    start, sent = time.monotonic(), 0.0
    while (elapsed := time.monotonic() - start) < seconds:
        share = (mbps * 1e6 * elapsed - sent) / len(containers)
        for container in containers:
            stamp = _stamp(time.time_ns())
            data, size = [], 0
            while size < share:
                line = stamp + next(pieces)
                data.append(line)
                size += len(line)
            if data:
                container.write(b"".join(data), rotate_mb * 1e6)
                sent += size
        time.sleep(_STEP_S)
    return int(sent)


def _stamp(now_ns: int) -> bytes:
    seconds, rest = divmod(now_ns, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds)).encode() + b"%09dZ" % rest


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(float, sys.argv[2:5]))
