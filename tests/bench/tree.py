"""A log tree in the kubelet's layout, made anew for each run of the benchmarks."""

import itertools
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.lines import runtime_pool

_SPAN_S = 3600  # the lines of a tree are spread over the last hour
_JITTER = 0x9E3779B1  # odd and large: times whose distances do not repeat


@dataclass(frozen=True, slots=True)
class LogTree:
    root: Path
    files: tuple[Path, ...]
    size: int
    lines: int


def container_directories(root: Path, count: int) -> list[Path]:
    """Empty directories `<namespace>_<pod>_<uid>/<container>`."""
    found = []
    for number in range(count):
        uid = uuid.uuid5(uuid.NAMESPACE_OID, f"bench-{number}")
        pod = f"ns{number % 4}_app-{number:03}-{uid.hex[:10]}_{uid}"
        found.append(root / pod / f"app{number % 3}")
        found[-1].mkdir(parents=True)
    return found


def make_tree(root: Path, *, containers: int, size: int, seed: int = 7) -> LogTree:
    """`size` bytes in all, the same for every container."""
    pieces = runtime_pool(seed)
    files, total, lines = [], 0, 0
    for number, directory in enumerate(container_directories(root, containers)):
        path = directory / "0.log"
        start = number * 7919 % len(pieces)
        written, count = _fill(path, size // containers, pieces[start:] + pieces[:start])
        files.append(path)
        total, lines = total + written, lines + count
    return LogTree(root, tuple(files), total, lines)


def _fill(path: Path, size: int, pieces: Sequence[bytes]) -> tuple[int, int]:
    start_ns = (time.time_ns() // 10**9 - _SPAN_S) * 10**9
    step_ns = _SPAN_S * 10**9 * 200 // max(size, 1)
    written = lines = 0
    second, head = -1, b""
    with path.open("wb", 1 << 20) as file:
        for piece in itertools.cycle(pieces):
            now_ns = start_ns + lines * step_ns + lines * lines * _JITTER % step_ns
            if now_ns // 10**9 != second:
                second = now_ns // 10**9
                head = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second)).encode()
            written += file.write(b"%s%09dZ%s" % (head, now_ns % 10**9, piece))
            lines += 1
            if written >= size:
                return written, lines
    raise AssertionError("unreachable")
