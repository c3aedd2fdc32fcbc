"""The mount table of the host, as text: looking at it cannot hang, looking at a mount can."""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

_MAX = 1 << 20  # a node with many pods has thousands of lines
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    point: str
    type: str
    source: str


def table(proc: str) -> list[Mount]:
    """As the host's first process sees it, or this one where that is not allowed."""
    for who in ("1/mounts", "mounts"):
        raw = _read(f"{proc}/{who}")
        if raw:
            return [found for line in raw.splitlines() if (found := _parse(line)) is not None]
    return []


def point_of(path: str, mounts: Sequence[Mount]) -> str:
    """The mount point that a path is below, by its name alone; `/` when none is."""
    best = "/"
    for mount in mounts:
        point = mount.point
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) > len(best):
            best = point
    return best


def _parse(line: str) -> Mount | None:
    words = line.split(" ")
    if len(words) < 3:
        return None
    return Mount(_plain(words[1]), words[2], _plain(words[0]))


def _plain(word: str) -> str:
    """Blanks and backslashes are octal, proc_pid_mounts(5)."""
    return _ESCAPE.sub(lambda found: chr(int(found.group(1), 8)), word)


def _read(path: str) -> str:
    """Whole, however many reads it takes."""
    try:
        with open(path, "rb", buffering=0) as file:
            pieces, size = [], 0
            while size < _MAX and (piece := file.read(1 << 16)):
                pieces.append(piece)
                size += len(piece)
    except OSError:
        return ""
    return os.fsdecode(b"".join(pieces))
