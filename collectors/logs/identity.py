"""Which file is this? By content, never by name or inode.

file id = 64 bits of blake2b over (who, container, restart, first line, epoch). `who` is the pod's
uid, with the path for files in volumes; for host files the node. The first line of a container
log starts with a nanosecond time, so the id is unique, works from the first line on, and is the
same for `0.log`, its renamed file and the decompressed archive. `epoch` is 0 and left out of the
hash, unless that id is already taken by other bytes: a truncated file that starts with the very
same line again.

A position is verified by the mark: a hash of the 64 bytes in front of it.
"""

import re
from hashlib import blake2b

from pipeline.contract.record import CRI, DOCKER, PLAIN

HEAD = 4096  # a first line is cut here
BEFORE = 64  # bytes in front of a position that its mark covers

_CRI_LINE = re.compile(rb"^\S{10,40} (?:stdout|stderr) [A-Z][A-Za-z:]*(?: |$)", re.MULTILINE)


def first_line(head: bytes, *, complete: bool = False) -> bytes | None:
    """The part of a file's first bytes that identifies it; None while too little is there.
    `complete`: nothing will follow, so what is there is the line."""
    line, newline, _ = head[:HEAD].partition(b"\n")
    if newline or len(line) == HEAD or (complete and line):
        return line
    return None


def file_id(who: str, container: str, restart: int, line: bytes, epoch: int = 0) -> int:
    """Fields are length-prefixed, so no two different sets of them give the same input."""
    digest = blake2b(digest_size=8)
    for part in (who.encode(), container.encode(), b"%d" % restart, line):
        digest.update(b"%d:" % len(part) + part)
    if epoch:
        digest.update(b"%d" % epoch)
    return int.from_bytes(digest.digest(), "big")


def mark(before: bytes) -> str:
    """Hash of the bytes in front of a position."""
    return blake2b(before, digest_size=8).hexdigest()


def detect_format(head: bytes, *, host: bool) -> str:
    """As the kubelet does: CRI, else docker JSON. A torn first line of a CRI file does not
    make the rest of it plain."""
    if host:
        return PLAIN
    first = head.partition(b"\n")[0]
    if _CRI_LINE.match(first):
        return CRI
    if first.startswith(b'{"log":"') or (first.startswith(b"{") and b'"log":' in first):
        return DOCKER
    return CRI if _CRI_LINE.search(head) else PLAIN
