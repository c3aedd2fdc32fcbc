"""Every log file of the node: which container runs there are, and which of their files are busy.

A file is `busy` while it is being written, has unread bytes, or waits for its end; busy files
are sized each tick. All others are left to inotify and cost nothing but a look by the sweep.
"""

import os
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from collectors.logs.endings import Endings
from collectors.logs.forecast import Forecast
from collectors.logs.layout import Kind
from collectors.logs.registry import Registry
from collectors.logs.stream import Stream
from collectors.logs.tail import Tail, Window
from collectors.logs.tree import Listing, Tree
from collectors.logs.watch import Watch
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics
from pipeline.contract.record import Source

if TYPE_CHECKING:
    from collectors.config import CollectConfig


class Growths(Protocol):
    """Whoever wants to know when containers' logs grow."""

    def grew(self, container: str, at: float) -> None:
        """namespace/pod/container was seen to have grown at that time (monotonic seconds)."""

    def looked(self, at: float, here: Collection[str]) -> None:
        """All files were looked at; `here` are the containers that have one to write to."""


class Volumes(Protocol):
    """Files in volumes of pods (collectors/volumes)."""

    @property
    def settled(self) -> bool: ...

    def sees(self, uid: str) -> bool: ...

    def departed(self, uid: str) -> bool: ...

    def scan(self) -> list[Listing]: ...

    def touched(self, directories: Iterable[str]) -> list[Listing]: ...


class Inventory:
    def __init__(
        self,
        config: "CollectConfig",
        *,
        registry: Registry,
        endings: Endings,
        window: Window,
        watch: Watch,
        telemetry: Telemetry,
        growths: Growths | None = None,
        volumes: Volumes | None = None,
    ) -> None:
        self.busy: dict[Tail, Stream] = {}
        self._config = config
        self._registry = registry
        self._endings = endings
        self._window = window
        self._watch = watch
        self._telemetry = telemetry
        self._growths = growths
        self._volumes = volumes
        self._forecast = Forecast(config.rotation, telemetry)
        self._tree = Tree(
            config.node,
            roots=[str(root) for root in config.roots],
            host_files=config.host_files,
            watch=watch,
        )
        self._places: dict[str, dict[Source, Stream]] = {}
        self._owed = [file_id for file_id, _ in registry.positions.items()]  # of an earlier life
        self._unlistable: set[str] = set()  # directories that were complained about
        self._sweeps = 0
        self._next_sweep = self._next_poll = float("-inf")
        self._unwatched = False  # some quiet file could not be left to inotify

    @property
    def next_sweep(self) -> float:
        return self._next_sweep

    @property
    def polling(self) -> bool:
        return self._unwatched or not self._watch.active

    def streams(self) -> Iterator[Stream]:
        for place in self._places.values():
            yield from place.values()

    def discover(self, now: float, wall_ns: int) -> None:
        """What inotify has to say, and when it is time, everything else."""
        changes = self._watch.changes()
        for tail, stream in changes.files:
            if tail in stream.tails:
                self.busy[tail] = stream
        if changes.directories:
            self._apply(self._tree.touched(changes.directories, wall_ns), now)
            if self._volumes is not None:
                self._apply(self._volumes.touched(changes.directories), now)
        if now >= self._next_sweep or changes.overflow:
            self._next_sweep = now + self._config.reading.sweep_s
            again = {os.path.dirname(p) for stream in self.streams() for p in stream.unreadable}
            self._apply(self._tree.touched(again, wall_ns), now)
            self._apply(self._tree.scan(wall_ns), now)
            if self._volumes is not None:
                self._apply(self._volumes.scan(), now)
            self._sweep(now)
        elif self.polling and now >= self._next_poll:
            self._next_poll = now + self._config.reading.poll_s
            for stream in self.streams():
                self._look_at(stream, now)

    def measure(self, now: float) -> None:
        """Size the busy files, identify the new ones, leave the quiet ones to inotify."""
        reading = self._config.reading
        for tail, stream in list(self.busy.items()):
            if tail in stream.tails and (tail.unread < reading.chunk_bytes or tail.finish):
                self._size(tail, now)
            if tail in stream.tails and tail.lane is None and (tail.size or tail.complete):
                stream.identify(tail)
            if tail not in stream.tails:
                del self.busy[tail]
            elif now - tail.grown_at > reading.quiet_s and tail.at_rest:
                self._rest(tail, stream, now)

    def conclude(self) -> None:
        """End what is finished."""
        self._endings.release_left()
        for tail, stream in list(self.busy.items()):
            if tail.complete and tail in stream.tails and self._endings.conclude(stream, tail):
                del self.busy[tail]

    def close(self) -> None:
        for stream in self.streams():
            for tail in stream.tails:
                tail.reader.close()
        self._places.clear()
        self.busy.clear()

    def _size(self, tail: Tail, now: float) -> None:
        grown = tail.measure(now)
        if grown > 0 and self._growths is not None and _printed(tail.source):
            self._growths.grew(_container(tail.source), now)
        if tail.size < tail.offset or (grown < 0 and not tail.size):
            self._endings.truncated(tail, seen=tail.size - grown)

    def _rest(self, tail: Tail, stream: Stream, now: float) -> None:
        """Watch it, then look once more: for what was written before the watch."""
        if not self._watch.arm(tail.reader.fd, (tail, stream)):
            self._unwatched = True
        size = tail.size
        self._size(tail, now)
        if tail.size == size:
            del self.busy[tail]

    def _apply(self, listings: Iterable[Listing], now: float) -> None:
        for listing in listings:
            streams = self._places.setdefault(listing.place, {})
            newest = _newest_runs(listing)
            for source in listing.runs.keys() - streams.keys():
                streams[source] = Stream(
                    source,
                    registry=self._registry,
                    window=self._window,
                    telemetry=self._telemetry,
                    open_=listing.open,
                    plain=listing.plain,
                )
            for source, stream in list(streams.items()):
                entries = listing.runs.get(source, [])
                newer = newest.get(source.container, -1) > source.restart
                for tail in stream.reconcile(entries, gone=listing.gone, newer=newer):
                    tail.grown_at = now
                    tail.unread_since = now
                    self.busy[tail] = stream
                self.busy.update((tail, stream) for tail in stream.tails if tail.finish)
                if not stream.tails and not entries:
                    del streams[source]
            if not streams:
                del self._places[listing.place]

    def _sweep(self, now: float) -> None:
        """Look at every open file, whatever inotify said."""
        self._sweeps += 1
        for stream in self.streams():
            self._look_at(stream, now)
            for tail in stream.tails:
                if tail in self.busy:
                    self._size(tail, now)
                tail.quiet += bool(tail.finish) and tail.size == tail.swept_size
                tail.swept_size = tail.size
            seconds = self._config.reading.sweep_s
            if not stream.source.file:  # a program rotates as it likes
                self._forecast.observe(stream.source, backlog(stream.tails), seconds=seconds)
        if self._growths is not None:
            written = (s.source for s in self.streams() if any(not t.finish for t in s.tails))
            self._growths.looked(
                now, {_container(source) for source in written if _printed(source)}
            )
        self._endings.give_up_held(self.streams(), self._config.limits.held_bytes)
        self._drop_gone()
        self._forecast.publish({stream.source for stream in self.streams()})
        if self._sweeps >= 2 and self._owed:
            self._settle_owed()
        self._forget_departed()
        self._complain()
        unreadable = sum(len(stream.unreadable) for stream in self.streams())
        self._telemetry.gauge(metrics.UNREADABLE_FILES, unreadable + len(self._unlistable))
        self._telemetry.gauge(metrics.IGNORED_FILES, self._tree.ignored)

    def _drop_gone(self) -> None:
        """Runs whose directory was deleted, once the last of their files is finished."""
        for place, streams in list(self._places.items()):
            for source, stream in list(streams.items()):
                if stream.gone and not stream.tails:
                    stream.leave()
                    del streams[source]
            if not streams:
                del self._places[place]

    def _complain(self) -> None:
        found = self._tree.unlistable()
        for path in found.keys() - self._unlistable:
            self._telemetry.event(
                "cannot-open-log", level="error", path=path, reason=found[path],
                hint="run as root; raise the open-files limit",
            )  # fmt: skip
        self._unlistable = set(found)

    def _look_at(self, stream: Stream, now: float) -> None:
        for tail in stream.tails:
            if tail not in self.busy:
                size = tail.size
                self._size(tail, now)
                if tail.size != size or not tail.at_rest:
                    self.busy[tail] = stream

    def _settle_owed(self) -> None:
        """Positions of an earlier life: continued, needed no more, or of files that are nowhere.
        Judged from the second sweep on, so that a rename in the middle of a listing is no loss,
        and only where every file that is here is identified."""
        here: dict[tuple[str, str], bool] = {}  # is there anything unidentified?
        ids = set(self._registry.claimed)
        for stream in self.streams():
            key = stream.source.uid, stream.source.container
            here[key] = here.get(key, False) or stream.unsure
            ids.update(done.file_id for done in stream.done.values())
        hidden = tuple(f"{path}/" for path in self._tree.unlistable())
        no_root = bool(self._tree.unreadable_roots())  # what containers print may be in it
        owed, self._owed = self._owed, []
        for file_id in owed:
            position = self._registry.positions.get(file_id)
            if position is None or file_id in ids:
                continue  # continued in this life; or even finished, and deleted since
            source = position.source
            known = here.get((source.uid, source.container))
            volumes = self._volumes if source.file else None
            early = volumes is not None and not volumes.sees(source.uid)
            early = early or (no_root and _printed(source))
            if known or early or source.path.startswith(hidden):
                self._owed.append(file_id)
            elif not position.ended:
                self._endings.missing(file_id, position, siblings=known is not None)
            elif source.uid and not source.file:
                self._registry.positions.forget_ended(file_id)

    def _forget_departed(self) -> None:
        """Ids of files in volumes, once their pod is known no more."""
        if self._volumes is None or not self._volumes.settled:
            return
        positions = self._registry.positions
        for file_id, position in list(positions.items()):
            source = position.source
            if position.ended and source.file and self._volumes.departed(source.uid):
                positions.forget(file_id)  # those of truncated files as well


def _printed(source: Source) -> bool:
    """Is it what a container prints?"""
    return bool(source.uid) and not source.file


def _container(source: Source) -> str:
    return f"{source.namespace}/{source.pod}/{source.container}"


def _newest_runs(listing: Listing) -> dict[str, int]:
    newest: dict[str, int] = {}
    for source, entries in listing.runs.items():
        if any(entry.kind is Kind.LIVE for entry in entries):
            newest[source.container] = max(newest.get(source.container, -1), source.restart)
    return newest


def backlog(tails: Iterable[Tail]) -> int:
    """Bytes on disk that are not acknowledged."""
    return sum(max(0, tail.size - (tail.lane.acked if tail.lane else 0)) for tail in tails)
