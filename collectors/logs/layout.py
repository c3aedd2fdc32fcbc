"""Names below a log root, and what they mean. Pure functions.

The kubelet's layout (kubernetes pkg/kubelet/kuberuntime/helpers.go, legacy.go):

  <namespace>_<pod>_<uid>/<container>/<restart>.log             being written
                                      <restart>.log.<time>      rotated, plain, still readable
                                      <restart>.log.<time>.gz   rotated and compressed
                                      *.tmp                     being compressed: never read
  <uid>/<container>/<restart>.log, <uid>/<container>_<restart>.log   very old kubelets

Names of namespaces, pods and containers cannot hold `_`; the uid comes last. Docker's own
rotation puts `-json.log.1`, `-json.log.2.gz` … beside the file that `<restart>.log` links to.
"""

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    LIVE = 1  # the name that a runtime writes to
    ROTATED = 2  # renamed, plain
    ARCHIVED = 3  # compressed: complete, and another inode than what it was made from


class PodName(NamedTuple):
    namespace: str
    pod: str
    uid: str


class FileName(NamedTuple):
    container: str  # of flat names only, else ""
    restart: int
    kind: Kind
    base: str  # the name without .gz: the same for a rotated file and its archive
    order: str  # sorts generations oldest first


class Entry(NamedTuple):
    """A file as a scan of its directory saw it."""

    path: str
    kind: Kind
    order: str
    base: str
    dev: int
    ino: int
    size: int
    mtime_ns: int


_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")
_FILE = re.compile(
    r"(?:(?P<container>[^_/]+)_)?(?P<restart>\d{1,9})\.log(?P<time>\.\d[\d-]*)?(?P<gz>\.gz)?"
)
_LAST = "~"  # sorts behind every time


def pod_directory(name: str) -> PodName | None:
    """The pod that a directory of a root belongs to; None if it is none of ours."""
    parts = shown(name).split("_")
    if len(parts) == 3 and all(parts):
        return PodName(*parts)
    return PodName("", "", name) if _UID.fullmatch(name) else None


def log_file(name: str, *, flat: bool = False) -> FileName | None:
    """What a file in a container's directory is (`flat`: in the pod's directory)."""
    match = _FILE.fullmatch(name)
    if match is None or bool(match["container"]) is not flat:
        return None
    if match["gz"]:
        if not match["time"]:
            return None
        kind = Kind.ARCHIVED
    else:
        kind = Kind.ROTATED if match["time"] else Kind.LIVE
    return FileName(
        container=match["container"] or "",
        restart=int(match["restart"]),
        kind=kind,
        base=name.removesuffix(".gz"),
        order=match["time"] or _LAST,
    )


def is_temporary(name: str) -> bool:
    """Half-made archives: passing by, not worth counting."""
    return name.endswith(".tmp")


_RUN = re.compile(r"[\d.-]*\Z")
_SPLIT = re.compile(r"[.-](?=\d)")


def lives(name: str) -> Iterator[str]:
    """Names of live files that `name` would be an older generation of, by `sibling`: so that it
    need not be asked of every pair in a directory."""
    stem = name.removesuffix(".gz")
    run = _RUN.search(stem)
    for split in _SPLIT.finditer(stem, run.start() if run else len(stem)):
        if split.start():
            yield name[: split.start()]


def shown(path: str) -> str:
    """As text: a name is any bytes, and what is no UTF-8 becomes `\\xff`. A program may have called
    its files anything; whoever reads its rows and the ledger can show text only."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def sibling(name: str, live: str) -> FileName | None:
    """What `name` is beside a live file that something other than the kubelet rotates: docker
    and logrotate number (`.1` is the newest) or date (`-20261123`) the older ones."""
    if name == live:
        return FileName("", 0, Kind.LIVE, name, _LAST)
    rest = name.removeprefix(live)
    match = re.fullmatch(r"([.-])(\d[\d.-]*)(\.gz)?", rest) if rest != name else None
    if match is None:
        return None
    digits = match[2]
    numbered = match[1] == "." and digits.isdigit() and len(digits) < 6
    order = f"{999_999 - int(digits):06}" if numbered else digits
    kind = Kind.ARCHIVED if match[3] else Kind.ROTATED
    return FileName("", 0, kind, name.removesuffix(".gz"), order)
