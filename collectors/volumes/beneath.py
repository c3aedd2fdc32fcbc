"""Opening what lies below a directory that is trusted, in parts that are not: no link is followed
below it, whoever swaps what for what in between. The pod owns all of it, and the collector may
read every file of the node."""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from errno import EINVAL, ELOOP, ENOENT, ENOTDIR
from itertools import islice

MOST_NAMES = 10_000  # of a directory that are looked at
MOST_FILES = 100_000  # … and of all directories of a pod
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


def files_in(directory: int) -> tuple[dict[str, os.stat_result], bool]:
    """Regular files of an open directory, neither links nor anything else; whether all names were
    looked at."""
    found = {}
    with os.scandir(directory) as items:
        for item in islice(items, MOST_NAMES):
            if not item.is_file(follow_symlinks=False):  # asks nobody, as a rule
                continue
            with suppress(FileNotFoundError):  # gone since it was listed
                status = item.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    found[item.name] = status
        return found, next(items, None) is None


def nowhere(error: OSError) -> bool:
    """Is a directory surely not there (any more)? What cannot be opened for another reason (no
    descriptor left, no right, a broken disk) may be."""
    return error.errno in (ENOENT, ENOTDIR, ELOOP)


def directories_in(root: str, parts: Sequence[str]) -> list[str]:
    """Names, sorted; links to directories are none. Raises OSError."""
    directory = open_directory(root, parts)
    try:
        with os.scandir(directory) as items:
            inner = (one.name for one in islice(items, MOST_NAMES) if _is_directory(one))
            return sorted(inner)
    finally:
        os.close(directory)


def _is_directory(item: "os.DirEntry[str]") -> bool:
    return item.is_dir(follow_symlinks=False)


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
