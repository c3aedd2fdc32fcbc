"""Files in volumes, listed for the same machinery that follows containers' logs: rotation,
positions and endings are those of any file (design.md). What is different is here: which files they
are follows from wishes and pods, and nothing in a volume is trusted (beneath.py). Compressed
generations are left alone: a program could make terabytes of them.

Directories are looked for (search.py) and listed at every sweep, or less often if there are very
many; and listed when inotify says so.
"""

import fnmatch
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from collectors.logs.layout import Entry, FileName, Kind, lives, shown, sibling
from collectors.logs.tail import Opener
from collectors.logs.tree import Listing
from collectors.logs.watch import Watch
from collectors.volumes.beneath import (
    MOST_FILES,
    MOST_NAMES,
    files_in,
    nowhere,
    open_directory,
    open_file,
)
from collectors.volumes.feed import WishFeed
from collectors.volumes.search import Look, reason
from collectors.volumes.targets import Search, Target, View, searches, targets
from pipeline.base.telemetry import Telemetry
from pipeline.contract.record import VOLUME, PodVersion, Source

if TYPE_CHECKING:
    from collectors.volumes.config import VolumesConfig

_A_SWEEP = 400  # directories that one sweep may look at; for more, the next ones look at none
_COMPRESSED = (".gz", ".zip", ".zst", ".bz2", ".xz")


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
        self._searches: list[Search] = []
        self._targets: dict[str, Target] = {}  # by their places
        self._live: dict[str, dict[str, Source]] = {}  # place -> names that are read, and as whose
        self._watched: dict[str, tuple[int, int]] = {}  # paths, and what was there
        self._told: set[tuple[str, str, str]] = set()
        self._uids: set[str] = set()
        self._blind: set[str] = set()  # uids of pods of which not all directories could be listed
        self._scans = 0
        self._entered = 0  # directories, by the last look
        self._rest = 0  # sweeps that will look at nothing

    @property
    def settled(self) -> bool:
        """Wishes and pods are known, and everything was looked at twice since."""
        return self._scans >= 2

    def sees(self, uid: str) -> bool:
        """Is a file of this pod that is not here nowhere?"""
        return self.settled and uid not in self._blind

    def departed(self, uid: str) -> bool:
        """Is a pod not known any more? Then no new file of it will come."""
        return self.settled and uid not in self._uids

    def scan(self) -> list[Listing]:
        """A sweep."""
        known = self._loaded() and self._pods.listed > 0
        learned = known and self._learned()
        if self._rest > 0 and not learned:
            self._rest -= 1
            return []
        self._blind.clear()
        gone = self._retarget() if learned or any(one.globs for one in self._searches) else []
        self._scans += known
        self._rest = (self._entered + len(self._targets)) // _A_SWEEP
        return [*gone, *self._list(self._targets.values())]

    def touched(self, directories: Iterable[str]) -> list[Listing]:
        """Where inotify saw a name come or go."""
        named = set(directories)
        for path in named:  # it may be another one, with the number of the one before
            self._watched.pop(path, None)
        return self._list([one for one in self._targets.values() if one.path in named])

    def _retarget(self) -> list[Listing]:
        """Places that are wished no more, or gone; what is open there is read to its end."""
        look = Look(self._unread)
        found = targets(look.places(self._searches))
        self._entered = look.entered
        before, self._targets = self._targets, {one.place: one for one in found}
        self._blind.update(*look.closed.values())
        hidden = tuple(f"{path}/" for path in look.closed)
        for place in before.keys() - self._targets.keys():
            if before[place].path.startswith(hidden):
                self._targets[place] = before[place]
        kept = {one.path for one in self._targets.values()}
        self._watched = {path: what for path, what in self._watched.items() if path in kept}
        return [
            Listing(place, {}, gone=True)
            for place in before.keys() - self._targets.keys()
            if self._live.pop(place, None) is not None
        ]

    def _learned(self) -> bool:
        """Is anything else wished than before, or of other pods?"""
        look = self._feed.epoch, self._pods.listed
        if look == self._seen_of:
            return False
        self._seen_of = look
        pods = self._pods.known()
        self._uids = {pod.uid for pod in pods}
        self._searches, refused = searches(
            self._feed.wishes(),
            pods,
            kubelet_pods=str(self._config.kubelet_pods),
            host_paths=[str(path) for path in self._config.host_paths],
        )
        for one in refused:
            self._tell(one.pod, one.path, one.why)
        return True

    def _list(self, wanted: Iterable[Target]) -> list[Listing]:
        files = Counter(one.uid for names in self._live.values() for one in names.values())
        looked: Counter[str] = Counter()
        return [listing for one in wanted for listing in self._listing(one, files, looked)]

    def _listing(
        self, target: Target, files: Counter[str], looked: Counter[str]
    ) -> Iterator[Listing]:
        """Nothing for a directory that was never there."""
        uid = target.views[0].uid
        if looked[uid] > MOST_FILES:
            self._blind.add(uid)
            return self._unread(target.views[0], f"more than {MOST_FILES} files before this one")
        try:
            names = self._names(target)
        except OSError as error:
            self._watched.pop(target.path, None)
            if not isinstance(error, FileNotFoundError):
                self._unread(target.views[0], reason(error))
            if not nowhere(error):
                self._blind.update(view.uid for view in target.views)
            elif self._live.pop(target.place, None) is not None:
                yield Listing(target.place, {}, gone=True)
            return
        looked[uid] += len(names)
        known = self._live.setdefault(target.place, {})
        runs = {}
        chosen = self._chosen(target, names, known, files)
        generations: dict[str, list[Entry]] = {live: [] for live in chosen}
        for name, status in names.items():
            for live in generations.keys() & {name, *lives(name)}:
                found = sibling(name, live)
                if found is not None and found.kind is not Kind.ARCHIVED:
                    generations[live].append(_entry(target, name, found, status))
        for live, entries in generations.items():
            if entries:
                entries.sort(key=lambda entry: (entry.order, entry.kind))
                runs[chosen[live]] = entries
                known[live] = chosen[live]
            elif live in known:
                files[known.pop(live).uid] -= 1
        yield Listing(target.place, runs, gone=False, open=_opener(target), plain=True)

    def _names(self, target: Target) -> dict[str, os.stat_result]:
        directory = open_directory(target.root, target.parts)
        try:
            status = os.fstat(directory)
            what = status.st_dev, status.st_ino  # another one may have come under its name
            if self._watched.get(target.path) != what and self._watch.add_directory(target.path):
                self._watched[target.path] = what
            names, all_of_them = files_in(directory)
        finally:
            os.close(directory)
        if not all_of_them:
            self._unread(target.views[0], f"more than {MOST_NAMES} names in the directory")
        return names

    def _chosen(
        self,
        target: Target,
        names: Mapping[str, object],
        known: dict[str, Source],
        files: Counter[str],
    ) -> dict[str, Source]:
        """Names that are written to and whose they are, as many as a pod may have; those that are
        read already first, and as before. One that was read and is renamed just now still has its
        older generations; one that is wished no more has not."""
        for name, source in list(known.items()):
            if source not in self._sources(target, name):
                files[known.pop(name).uid] -= 1
        matching = {
            name: views[0]
            for name in names
            if not name.endswith(_COMPRESSED) and (views := _views(target, name))
        }
        written = matching.keys() | known.keys()
        older = {name for name in matching if not written.isdisjoint(lives(name))}
        for name in known.keys() & older:
            files[known.pop(name).uid] -= 1
        chosen = {name: known[name] for name in sorted(known)}
        for name in sorted(matching.keys() - older - known.keys()):
            view = matching[name]
            if files[view.uid] < self._config.max_files:
                files[view.uid] += 1
                chosen[name] = self._source(view, name)
            else:
                self._unread(view, f"more than {self._config.max_files} files (volumes.max_files)")
        return chosen

    def _sources(self, target: Target, name: str) -> list[Source]:
        """As whose it may be read."""
        return [self._source(view, name) for view in _views(target, name)]

    def _source(self, view: View, name: str) -> Source:
        path = f"{VOLUME}{shown(os.path.join(view.directory, name))}"
        return Source(self._node, view.namespace, view.pod, view.uid, view.container, 0, path)

    def _unread(self, view: View, why: str) -> None:
        self._tell(f"{view.namespace}/{view.pod}", shown(view.directory), why)

    def _tell(self, pod: str, path: str, why: str) -> None:
        """Once."""
        if (pod, path, why) in self._told or len(self._told) > MOST_NAMES:
            return
        self._told.add((pod, path, why))
        self._telemetry.event("volume-unread", level="warn", pod=pod, path=path, why=why)


def _views(target: Target, name: str) -> list[View]:
    """Whose a file may be; the first one's, if it is nobody's yet."""
    return [view for view in target.views if fnmatch.fnmatchcase(name, view.glob)]


def _entry(target: Target, name: str, found: FileName, status: os.stat_result) -> Entry:
    return Entry(
        os.path.join(target.path, name), found.kind, found.order,
        os.path.join(target.path, found.base),
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns,
    )  # fmt: skip


def _opener(target: Target) -> Opener:
    return lambda path: open_file(target.root, target.parts, os.path.basename(path))
