"""inotify's only door: which directories changed, which quiet files were written to.

Directories are watched for names that come, go or change. A quiet file gets a one-shot watch on
its open descriptor (through /proc/self/fd, so a rename does not matter): its first write ends
the watch, and a file that is written all the time never costs an event per write.

Without inotify (other systems, limit of instances or watches reached) every call still works and
says that nothing is watched; the caller polls. That is said once. `Waker` ends a wait from
another thread.
"""

import errno
import os
import select
from collections.abc import Hashable
from contextlib import suppress
from typing import Any, NamedTuple

from pipeline.base.telemetry import Telemetry

# linux/inotify.h
_MODIFY, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONLYDIR, _ONESHOT = 0x0100_0000, 0x8000_0000
_NAMES = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONLYDIR


class Changes(NamedTuple):
    directories: set[str]
    files: list[Any]  # the tokens given to `arm`
    overflow: bool  # events were lost: look at everything


class Watch:
    """Use as a context manager."""

    def __init__(self, telemetry: Telemetry, *, enabled: bool = True) -> None:
        self._telemetry = telemetry
        self._enabled = enabled
        self._inotify: Any = None
        # A watch is of an inode: directories that links lead to, or files, may be one by two names.
        self._directories: dict[int, set[str]] = {}
        self._files: dict[int, set[Hashable]] = {}
        self._complained = False

    @property
    def active(self) -> bool:
        return self._inotify is not None

    def __enter__(self) -> "Watch":
        if self._enabled:
            try:
                from inotify_simple import INotify

                self._inotify = INotify()
            except (ImportError, OSError, AttributeError) as error:
                self._complain(f"inotify cannot be had: {error}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def fileno(self) -> int | None:
        return int(self._inotify.fileno()) if self._inotify is not None else None

    def add_directory(self, path: str) -> bool:
        """Names in this directory from now on; False if only polling will see them."""
        wd = self._add(path, _NAMES)
        if wd is None:
            return False
        self._directories.setdefault(wd, set()).add(path)
        return True

    def arm(self, fd: int, token: Hashable) -> bool:
        """Tell once when the file behind this descriptor is written to."""
        wd = self._add(f"/proc/self/fd/{fd}", _MODIFY | _ONESHOT)
        if wd is None:
            return False
        self._files.setdefault(wd, set()).add(token)
        return True

    def changes(self) -> Changes:
        """What happened since the last call; never waits."""
        directories: set[str] = set()
        files: list[Any] = []
        overflow = False
        for event in self._inotify.read(timeout=0) if self._inotify is not None else ():
            if event.mask & _OVERFLOW:
                overflow = True
            elif event.mask & _IGNORED:
                self._files.pop(event.wd, None)
                # Gone, or replaced by one of the same name.
                directories |= self._directories.pop(event.wd, set())
            elif event.wd in self._files:
                files += self._files.pop(event.wd)
            elif event.wd in self._directories:
                directories |= self._directories[event.wd]
        if overflow:
            directories.update(*self._directories.values())
            files += [token for tokens in self._files.values() for token in tokens]
            self._files.clear()
        return Changes(directories, files, overflow)

    def _add(self, path: str, mask: int) -> int | None:
        if self._inotify is None:
            return None
        try:
            return int(self._inotify.add_watch(path, mask))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._complain("fs.inotify.max_user_watches is used up")
            return None

    def _complain(self, what: str) -> None:
        if not self._complained:
            self._complained = True
            self._telemetry.event("polling-instead-of-inotify", level="warn", reason=what)


class Waker:
    """Lets another thread end a wait of the loop. Use as a context manager."""

    def __init__(self) -> None:
        self._read = self._write = -1

    def __enter__(self) -> "Waker":
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        return self

    def __exit__(self, *_: object) -> None:
        read, write, self._read, self._write = self._read, self._write, -1, -1
        os.close(write)
        os.close(read)

    def wake(self) -> None:
        """From any thread. A full pipe is as good as one more byte; a closed one needs none."""
        with suppress(OSError):
            os.write(self._write, b"!")

    def wait(self, watch: Watch, seconds: float) -> None:
        """Until woken, until inotify has news, or for that long."""
        poller = select.poll()
        poller.register(self._read, select.POLLIN)
        if (inotify := watch.fileno()) is not None:
            poller.register(inotify, select.POLLIN)
        ready = poller.poll(max(0, round(seconds * 1000)))
        if any(fd == self._read for fd, _ in ready):
            with suppress(BlockingIOError):
                os.read(self._read, 4096)
