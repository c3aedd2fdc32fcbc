"""Files in volumes, listed for the same machinery that follows containers' logs: rotation,
positions and endings are those of any file (design.md). What is different is here: which files they
are follows from wishes and pods, and nothing in a volume is trusted (beneath.py). Compressed
generations are left alone: a program could make terabytes of them.

Directories are listed at every sweep, and when inotify says so; there are few.
"""

import fnmatch
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from collectors.logs.layout import Entry, FileName, Kind, lives, sibling
from collectors.logs.tail import Opener
from collectors.logs.tree import Listing
from collectors.logs.watch import Watch
from collectors.volumes.beneath import open_directory, open_file
from collectors.volumes.feed import WishFeed
from collectors.volumes.targets import Target, targets
from pipeline.base.telemetry import Telemetry
from pipeline.contract.record import VOLUME, PodVersion, Source

if TYPE_CHECKING:
    from collectors.volumes.config import VolumesConfig

_MOST_NAMES = 10_000  # of a directory that are looked at


@runtime_checkable
class KnownPods(Protocol):
    """The pods of this node. `listed` counts complete lists; a pod that is gone is known for
    some time."""

    listed: int

    def known(self) -> Sequence[PodVersion]: ...


class VolumeFiles:
    """One thread: the agent's."""

    def __init__(
        self,
        config: "VolumesConfig",
        *,
        node: str,
        feed: WishFeed,
        loaded: Callable[[], bool],
        pods: KnownPods,
        watch: Watch,
        telemetry: Telemetry,
    ) -> None:
        self._config = config
        self._node = node
        self._feed = feed
        self._loaded = loaded  # are all wishes known that there were at the start?
        self._pods = pods
        self._watch = watch
        self._telemetry = telemetry
        self._seen_of = (-1, -1)  # the feed's epoch and the pods' lists that targets are made of
        self._targets: dict[str, Target] = {}
        self._live: dict[str, set[str]] = {}  # place -> names that are read
        self._watched: set[str] = set()
        self._told: set[tuple[str, str, str]] = set()
        self._uids: set[str] = set()
        self._scans = 0

    @property
    def settled(self) -> bool:
        """Wishes and pods are known, and everything was looked at twice since: a file that is not
        here is nowhere."""
        return self._scans >= 2

    def departed(self, uid: str) -> bool:
        """Is a pod not known any more? Then no new file of it will come."""
        return self.settled and uid not in self._uids

    def scan(self) -> list[Listing]:
        """A sweep."""
        known = self._loaded() and self._pods.listed > 0
        gone = self._retarget() if known else []
        self._scans += known
        return [*gone, *self._list(self._targets.values())]

    def touched(self, directories: Iterable[str]) -> list[Listing]:
        """Where inotify saw a name come or go."""
        named = set(directories)
        return self._list([one for one in self._targets.values() if one.path in named])

    def _retarget(self) -> list[Listing]:
        """Places that are wished no more; what is open there is read to its end."""
        look = self._feed.epoch, self._pods.listed
        if look == self._seen_of:
            return []
        self._seen_of = look
        pods = self._pods.known()
        self._uids = {pod.uid for pod in pods}
        found, refused = targets(
            self._feed.wishes(),
            pods,
            kubelet_pods=str(self._config.kubelet_pods),
            host_paths=[str(path) for path in self._config.host_paths],
        )
        before, self._targets = self._targets, {one.place: one for one in found}
        self._watched &= {one.path for one in found}
        for one in refused:
            self._tell(one.pod, one.path, one.why)
        return [
            Listing(place, {}, gone=True)
            for place in before.keys() - self._targets.keys()
            if self._live.pop(place, None) is not None
        ]

    def _list(self, wanted: Iterable[Target]) -> list[Listing]:
        files = Counter[str]()
        for place, names in self._live.items():
            if place in self._targets:
                files[self._targets[place].uid] += len(names)
        return [listing for one in wanted for listing in self._listing(one, files)]

    def _listing(self, target: Target, files: Counter[str]) -> Iterator[Listing]:
        """Nothing for a directory that was never there."""
        try:
            names = self._names(target)
        except OSError as error:
            self._watched.discard(target.path)
            if not isinstance(error, FileNotFoundError):
                self._tell(f"{target.namespace}/{target.pod}", target.directory, _reason(error))
            if self._live.pop(target.place, None) is not None:
                yield Listing(target.place, {}, gone=True)
            return
        known = self._live.setdefault(target.place, set())
        runs = {}
        generations: dict[str, list[Entry]] = {
            live: [] for live in self._chosen(target, names, known, files)
        }
        for name, status in names.items():
            for live in generations.keys() & {name, *lives(name)}:
                found = sibling(name, live)
                if found is not None and found.kind is not Kind.ARCHIVED:
                    generations[live].append(_entry(target, name, found, status))
        for live, entries in generations.items():
            if entries:
                entries.sort(key=lambda entry: (entry.order, entry.kind))
                runs[self._source(target, live)] = entries
                known.add(live)
            elif live in known:
                known.discard(live)
                files[target.uid] -= 1
        yield Listing(target.place, runs, gone=False, open=_opener(target), plain=True)

    def _names(self, target: Target) -> dict[str, os.stat_result]:
        """Regular files of its directory; neither links nor anything else."""
        directory = open_directory(target.root, target.parts)
        try:
            if target.path not in self._watched and self._watch.add_directory(target.path):
                self._watched.add(target.path)
            found = {}
            with os.scandir(directory) as items:
                for item in islice(items, _MOST_NAMES):
                    status = item.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        found[item.name] = status
            return found
        finally:
            os.close(directory)

    def _chosen(
        self,
        target: Target,
        names: dict[str, os.stat_result],
        known: set[str],
        files: Counter[str],
    ) -> list[str]:
        """Names that are written to, as many as a pod may have; those that are read already first.
        One that was read and is renamed just now still has its older generations."""
        matching = {name for name in names if fnmatch.fnmatchcase(name, target.glob)}
        written = matching | known
        older = {name for name in matching if not written.isdisjoint(lives(name))}
        new = sorted(matching - older - known)
        room = max(0, self._config.max_files - files[target.uid])
        if len(new) > room:
            text = f"more than {self._config.max_files} files (volumes.max_files)"
            self._tell(f"{target.namespace}/{target.pod}", target.directory, text)
            new = new[:room]
        files[target.uid] += len(new)
        return sorted(known - older) + new

    def _source(self, target: Target, name: str) -> Source:
        path = f"{VOLUME}{os.path.join(target.directory, name)}"
        return Source(
            self._node, target.namespace, target.pod, target.uid, target.container, 0, path
        )

    def _tell(self, pod: str, path: str, why: str) -> None:
        """Once."""
        if (pod, path, why) in self._told or len(self._told) > _MOST_NAMES:
            return
        self._told.add((pod, path, why))
        self._telemetry.event("volume-unread", level="warn", pod=pod, path=path, why=why)


def _reason(error: OSError) -> str:
    return f"{error.strerror}; links are not followed" if error.filename else str(error)


def _entry(target: Target, name: str, found: FileName, status: os.stat_result) -> Entry:
    return Entry(
        os.path.join(target.path, name), found.kind, found.order,
        os.path.join(target.path, found.base),
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns,
    )  # fmt: skip


def _opener(target: Target) -> Opener:
    return lambda path: open_file(target.root, target.parts, os.path.basename(path))
