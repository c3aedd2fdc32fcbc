"""A log tree in the kubelet's layout, made anew for each run of the benchmarks: generated lines, or
a recording of a real node, copied until it is large enough to be measured.

KUBELEDGER_TREES=DIR[:DIR…] are recordings to be taken beside the committed one."""

import gzip
import itertools
import os
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.lines import runtime_pool

_SPAN_S = 3600  # the lines of a tree are spread over the last hour
_JITTER = 0x9E3779B1  # odd and large: times whose distances do not repeat
RECORDINGS = (
    Path(__file__).parents[1] / "recordings/healthy/container-logs",
    *(Path(name) for name in os.environ.get("KUBELEDGER_TREES", "").split(":") if name),
)


@dataclass(frozen=True, slots=True)
class LogTree:
    root: Path
    files: tuple[Path, ...]
    size: int  # uncompressed bytes


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
    files, total = [], 0
    for number, directory in enumerate(container_directories(root, containers)):
        path = directory / "0.log"
        start = number * 7919 % len(pieces)
        total += _fill(path, size // containers, pieces[start:] + pieces[:start])
        files.append(path)
    return LogTree(root, tuple(files), total)


def recorded_tree(root: Path, *, size: int) -> LogTree:
    """Copies of the recordings, each with pods of its own, until `size` bytes are there."""
    files: list[Path] = []
    total = 0
    for copy in itertools.count():
        for number, recording in enumerate(RECORDINGS):
            for pod in sorted(path for path in recording.iterdir() if path.is_dir()):
                name, _, uid = pod.name.rpartition("_")
                fresh = uuid.uuid5(uuid.NAMESPACE_OID, f"{copy}-{number}-{uid}")
                place = root / f"{name}_{fresh}"
                shutil.copytree(pod, place)
                found = sorted(path for path in place.glob("*/*") if path.is_file())
                files += found
                total += sum(map(_uncompressed, found))
        if total >= size:
            return LogTree(root, tuple(files), total)
    raise AssertionError("unreachable")


def _uncompressed(path: Path) -> int:
    if path.suffix != ".gz":
        return path.stat().st_size
    with gzip.open(path) as file:
        return file.seek(0, os.SEEK_END)


def _fill(path: Path, size: int, pieces: Sequence[bytes]) -> int:
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
                return written
    raise AssertionError("unreachable")
