"""Discovery: which log files are where. Looks at names and inodes, never opens a file.

The tree is looked at directory by directory, and a directory only when inotify named it or when
a sweep finds that its modification time moved (one `stat` for a directory that is at rest). A
directory that changed within the last second is looked at again by the next sweep, because file
systems keep time too coarsely to tell a second change apart.

Results are `Listing`s: all files of one place, grouped by container run, oldest first.
"""

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.layout import (
    Entry,
    FileName,
    PodName,
    is_temporary,
    lives,
    log_file,
    pod_directory,
    shown,
    sibling,
)
from collectors.logs.tail import Opener, open_any
from collectors.logs.watch import Watch
from pipeline.contract.record import Source

if TYPE_CHECKING:
    from collectors.config import HostFiles

_COARSE_NS = 1_000_000_000
_HOST = "host:"  # before a directory as a place, which may be a container's as well


class Listing(NamedTuple):
    """Every log file of one place as it is now. A run that was there before and is missing here
    has no file left; `gone`: neither has its directory. `plain`: see Tail."""

    place: str
    runs: dict[Source, list[Entry]]
    gone: bool
    open: Opener = open_any
    plain: bool = False


class _Directory:
    """What is remembered of a directory: when it last changed, and whether that is certain."""

    __slots__ = ("children", "inode", "mtime_ns", "settled", "watched")

    def __init__(self) -> None:
        self.inode = -1
        self.mtime_ns = -1
        self.settled = False
        self.watched = False
        self.children: set[str] = set()


class Tree:
    """Roots in the kubelet's layout, and plain host files by pattern."""

    def __init__(
        self, node: str, *, roots: Iterable[str], host_files: Iterable["HostFiles"], watch: Watch
    ) -> None:
        self._node = node
        self._roots = [os.path.realpath(root) for root in roots]
        self._hosts: dict[str, list[tuple[str, HostFiles]]] = {}  # by directory, in their order
        for host in host_files:
            directory, pattern = os.path.split(os.path.realpath(host.glob))
            self._hosts.setdefault(directory, []).append((pattern, host))
        self._watch = watch
        self._known: dict[str, _Directory] = {}
        self._places: dict[str, PodName] = {}  # container and flat pod directories
        self._links: dict[str, set[str]] = {}  # directory of link targets -> places
        self._host_files: dict[str, dict[str, HostFiles]] = {}  # names that are read
        self._ignored: dict[str, int] = {}
        self._unlistable: dict[str, str] = {}
        self._now_ns = 0

    @property
    def ignored(self) -> int:
        """Names that are no log files."""
        return sum(self._ignored.values())

    def unreadable_roots(self) -> list[str]:
        """Roots that cannot be listed: nothing can be concluded about files that were there."""
        return [root for root in self._roots if not os.access(root, os.R_OK | os.X_OK)]

    def unlistable(self) -> dict[str, str]:
        """Directories that could not be listed, and why: the same goes for what is in them."""
        for path in list(self._unlistable):
            if not os.path.isdir(path):
                del self._unlistable[path]
        return self._unlistable

    def scan(self, now_ns: int) -> list[Listing]:
        """A sweep: whatever changed since the last one, by modification times."""
        self._now_ns = now_ns
        listings: list[Listing] = []
        for root in self._roots:
            self._look(root, listings, forced=False, level=0)
        for directory in self._hosts.keys() | set(self._links):
            if self._changed(directory, forced=False):
                self._look_outside(directory, listings)
        return listings

    def touched(self, directories: Iterable[str], now_ns: int) -> list[Listing]:
        """Look at these again, whatever their modification time says."""
        self._now_ns = now_ns
        listings: list[Listing] = []
        for directory in sorted(directories):
            for level, known in enumerate(self._levels(directory)):
                if known:
                    self._look(directory, listings, forced=True, level=level)
            if self._changed(directory, forced=True):
                self._look_outside(directory, listings)
        return listings

    def _look_outside(self, directory: str, listings: list[Listing]) -> None:
        """A directory outside the kubelet's layout: host files, or where links lead to."""
        if directory in self._hosts:
            listings += self._host(directory)
        places = self._links.get(directory, set())
        for place in sorted(places & self._places.keys()):
            listings += self._list(place)
        if places and not os.path.isdir(directory):
            del (
                self._links[directory],
                self._known[directory],
            )  # gone, as docker removes a container's directory

    def _levels(self, directory: str) -> tuple[bool, bool, bool]:
        parent = os.path.dirname(directory)
        return (
            directory in self._roots,
            parent in self._roots,
            os.path.dirname(parent) in self._roots,
        )

    # -- directories -------------------------------------------------------------------------

    def _look(self, path: str, listings: list[Listing], *, forced: bool, level: int) -> None:
        """Level 0 is a root, 1 a pod, 2 a container. Unchanged ones are only passed through."""
        if level == 2:
            if path in self._places and self._changed(path, forced=forced):
                listings += self._list(path)
            return
        if self._changed(path, forced=forced):
            self._list_children(path, listings, level=level)
        known = self._known.get(path)
        for child in sorted(known.children) if known else ():
            if not forced or child not in self._known:
                self._look(child, listings, forced=False, level=level + 1)

    def _changed(self, path: str, *, forced: bool) -> bool:
        """Stat it; watch it first if it is new, so that nothing can come in between."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = _Directory()
        if forced or (known.inode >= 0 and not known.watched):
            known.watched = self._watch.add_directory(path)
        try:
            status = os.stat(path)  # noqa: PTH116 - a str path, as everywhere here
            if status.st_ino != known.inode:  # at first, or another one has come under its name
                known.watched = self._watch.add_directory(path)
                status = os.stat(path)  # noqa: PTH116
            known.inode, mtime_ns = status.st_ino, status.st_mtime_ns
        except FileNotFoundError:
            mtime_ns = -1
        except OSError:
            return False
        if mtime_ns == known.mtime_ns and known.settled and not forced:
            return False
        known.mtime_ns = mtime_ns
        known.settled = mtime_ns >= 0 and abs(self._now_ns - mtime_ns) > _COARSE_NS
        return True

    def _list_children(self, path: str, listings: list[Listing], *, level: int) -> None:
        items = self._scandir(path)
        if items is None or (level == 0 and not os.path.isdir(path)):
            return  # nothing can be concluded; a root may be a mount that comes back
        known = self._known.get(path)
        children: set[str] = set()
        ignored = 0
        flat = False
        for item in items:
            file = level == 1 and log_file(item.name, flat=True) is not None
            flat = flat or file
            if (level == 1 or pod_directory(item.name)) and os.path.isdir(item.path):
                children.add(item.path)
            elif not file:
                ignored += not is_temporary(item.name)
        self._ignored[path] = ignored
        for child in sorted((known.children if known else set()) - children):
            self._drop(child, listings)
        if known is not None:
            known.children = children
        if level == 1:
            self._place_children(path, children, listings, flat=flat)

    def _place_children(
        self, path: str, children: set[str], listings: list[Listing], *, flat: bool
    ) -> None:
        pod = pod_directory(os.path.basename(path))
        if pod is None:
            return
        for child in children:
            self._places.setdefault(child, pod)
        if flat or path in self._places:
            self._places[path] = pod
            listings += self._list(path)

    def _drop(self, path: str, listings: list[Listing]) -> None:
        """A directory is gone, with all below it."""
        known = self._known.pop(path, None)
        for child in sorted(known.children) if known else ():
            self._drop(child, listings)
        self._ignored.pop(path, None)
        if self._places.pop(path, None) is not None:
            listings.append(Listing(path, {}, gone=True))

    # -- files -------------------------------------------------------------------------------

    def _list(self, place: str) -> list[Listing]:
        """One listing; none if the directory cannot be read now."""
        pod = self._places[place]
        flat = pod_directory(os.path.basename(place)) == pod
        items = self._scandir(place)
        if items is None:
            return []
        runs: dict[Source, list[Entry]] = {}
        ignored = 0
        for item in items:
            name = log_file(item.name, flat=flat)
            if name is None:
                ignored += not is_temporary(item.name)
                continue
            source = self._source(place, pod, name)
            for entry in self._entries(item.path, name, place):
                runs.setdefault(source, []).append(entry)
        if not flat:
            self._ignored[place] = ignored
        for entries in runs.values():
            entries.sort(key=lambda entry: (entry.order, entry.kind))
        return [Listing(place, runs, gone=not items and not os.path.isdir(place))]

    def _scandir(self, path: str) -> list[os.DirEntry[str]] | None:
        """Names in a directory: none if it is gone, None if it cannot be told (no rights, no
        descriptors left); then it is looked at again by the next sweep."""
        try:
            with os.scandir(path) as found:
                items = list(found)
            self._unlistable.pop(path, None)
            return items
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._unlistable[path] = str(error.strerror)
            if (known := self._known.get(path)) is not None:
                known.settled = False
            return None

    def _source(self, place: str, pod: PodName, name: FileName) -> Source:
        prefix = f"{name.container}_" if name.container else ""
        return Source(
            node=self._node,
            namespace=pod.namespace,
            pod=pod.pod,
            uid=pod.uid,
            container=shown(name.container or os.path.basename(place)),
            restart=name.restart,
            path=shown(os.path.join(place, f"{prefix}{name.restart}.log")),
        )

    def _entries(self, path: str, name: FileName, place: str) -> Iterator[Entry]:
        """The file itself; if it is a link (docker), what it leads to and what lies beside."""
        if not os.path.islink(path):  # noqa: PTH114
            yield from _entry(path, name)
            return
        target = os.path.realpath(path)
        directory, live = os.path.split(target)
        self._links.setdefault(directory, set()).add(place)
        if directory not in self._known:
            self._changed(directory, forced=True)
        for item in self._scandir(directory) or ():
            found = sibling(item.name, live)
            if found is not None:
                yield from _entry(item.path, found)

    def _host(self, directory: str) -> list[Listing]:
        """One place per directory; every path that a pattern means is a run of its own, with older
        generations beside it, also while it is renamed and not there anew. Of patterns that mean
        the same file the first one counts."""
        items = self._scandir(directory)
        if items is None:
            return []
        read = self._host_files.setdefault(directory, {})
        matches = {
            item.name: host
            for item in items
            if (host := self._host_of(directory, item.name)) and self._is_own(item.path)
        }
        found = {**read, **matches}
        generations: dict[str, list[Entry]] = {
            name: [] for name in found if found.keys().isdisjoint(lives(name))
        }
        for item in items:
            for live in generations.keys() & {item.name, *lives(item.name)}:
                if (name := sibling(item.name, live)) is not None:
                    generations[live] += _entry(item.path, name)
        runs: dict[Source, list[Entry]] = {}
        read.clear()
        for live, entries in sorted(generations.items()):
            if entries:
                read[live] = host = found[live]
                entries.sort(key=lambda entry: (entry.order, entry.kind))
                path = shown(os.path.join(directory, live))
                runs[Source(self._node, "", "", "", host.container, 0, path)] = entries
        return [Listing(f"{_HOST}{directory}", runs, gone=False)]

    def _host_of(self, directory: str, name: str) -> "HostFiles | None":
        """Which pattern means it; as in a shell, no wildcard means a dot at the beginning."""
        for pattern, host in self._hosts.get(directory, ()):
            dotted = name.startswith(".") and not pattern.startswith(".")
            if not dotted and fnmatch.fnmatchcase(name, pattern):
                return host
        return None

    def _is_own(self, path: str) -> bool:
        """Is it a file, and not a link to one that is read anyway?"""
        if not os.path.isfile(path):
            return False
        if not os.path.islink(path):  # noqa: PTH114
            return True
        try:
            target = os.path.join(os.path.dirname(path), os.readlink(path))  # noqa: PTH115
        except OSError:
            return False  # another one since
        return not any(map(self._is_read, (os.path.realpath(path), os.path.normpath(target))))

    def _is_read(self, path: str) -> bool:
        """/var/log/containers has links to containers' logs, for one."""
        directory, name = os.path.split(path)
        _, pod, container = self._levels(directory)
        printed = (pod or container) and log_file(name, flat=pod) is not None
        return printed or self._host_of(directory, name) is not None


def _entry(path: str, name: FileName) -> Iterator[Entry]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return  # gone, or a link whose target is gone
    if stat.S_ISREG(status.st_mode):
        base = os.path.join(os.path.dirname(path), name.base)
        yield Entry(
            path, name.kind, name.order, base,
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns,
        )  # fmt: skip
