"""Opening what lies below a directory that is trusted, in parts that are not: no link is followed
below it, whoever swaps what for what in between. The pod owns all of it, and the collector may
read every file of the node."""

import os
import stat
from collections.abc import Sequence
from errno import EINVAL

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO does not block


def open_directory(root: str, parts: Sequence[str]) -> int:
    """A descriptor. Raises OSError: a link is ELOOP or ENOTDIR."""
    found = os.open(root, _DIRECTORY)
    for part in parts:
        if part in ("", ".", "..") or "/" in part:
            os.close(found)
            raise OSError(EINVAL, "not the name of a directory", part)
        try:
            inner = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=found)
        finally:
            os.close(found)
        found = inner
    return found


def open_file(root: str, parts: Sequence[str], name: str) -> int:
    """A descriptor of a regular file. Raises OSError."""
    if name in ("", ".", "..") or "/" in name:
        raise OSError(EINVAL, "not the name of a file", name)
    directory = open_directory(root, parts)
    try:
        found = os.open(name, _FILE, dir_fd=directory)
    finally:
        os.close(directory)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise OSError(EINVAL, "not a regular file", name)
    return found
