"""THE DATA PATH of a node: files on disk become chunks on kubeledger.logs.

One tick (`Agent.step`), in this order:

  settle     acknowledgements that arrived move positions            ship, logs/positions
  discover   inotify and the sweep say which names changed           logs/inventory, tree, stream
  measure    busy files are sized, new ones identified               logs/tail, registry
  read       round robin: whole lines, compressed, to the broker     logs/turns, tail, ship
  journals   entries of journald or of the kernel, likewise          journal/
             (files in volumes are files                             volumes/)
             (clients' logs have a thread of their own                forward/)
  conclude   finished files get their end record and are closed      logs/endings
  keep       positions are synced, gauges and the forecast set       logs/positions, forecast

The loop is single-threaded; the producer's thread only queues acknowledgements. Nothing is
dropped: when too much is unacknowledged, reading stops, and the files are the buffer.
"""

import resource
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Protocol

from collectors.logs.endings import Endings
from collectors.logs.inventory import Growths, Inventory, Volumes, backlog
from collectors.logs.positions import Positions
from collectors.logs.registry import Registry
from collectors.logs.stream import Stream
from collectors.logs.tail import Rewritten, Tail, Window
from collectors.logs.turns import Turns
from collectors.logs.watch import Waker, Watch
from collectors.ship import Shipper
from pipeline.base.clock import Clock
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import ServiceTelemetry, Telemetry
from pipeline.broker.protocol import Broker, Producer
from pipeline.contract import metrics

if TYPE_CHECKING:
    from collectors.config import CollectConfig
    from collectors.forward.opening import Forward
    from collectors.journal.journals import Journals

_STEP_BYTES = 16 << 20  # read in one tick at most, so that discovery is never far away
_LONGEST_SLEEP = 0.5
_KEEP_EVERY = 1.0


class PodVersions(Protocol):
    """What is known of a pod: its metadata travels on a topic of its own."""

    def version(self, uid: str) -> int | None:
        """PodVersion.version that is acknowledged on kubeledger.pods; 0 = unknown, go on;
        None = a look-up is under way, ask again soon."""


class Agent:
    """Drive it with `step`; `run` below does."""

    def __init__(
        self,
        config: "CollectConfig",
        *,
        producer: Producer,
        positions: Positions,
        pods: PodVersions,
        watch: Watch,
        waker: Waker,
        telemetry: Telemetry,
        clock: Clock,
        journals: "Journals | None" = None,
        forward: "Forward | None" = None,
        growths: Growths | None = None,
        volumes: Volumes | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._telemetry = telemetry
        self._watch = watch
        self._pods = pods
        self._journals = journals
        self._forward = forward
        self._positions = positions
        self._ship = Shipper(
            producer,
            positions,
            limits=config.limits,
            telemetry=telemetry,
            clock=clock,
            wake=waker.wake,
            topic=config.topic,
        )
        registry = Registry(positions)
        self._window = Window()
        self._endings = Endings(self._ship, registry, telemetry=telemetry)
        self._files = Inventory(
            config,
            registry=registry,
            endings=self._endings,
            window=self._window,
            watch=watch,
            telemetry=telemetry,
            growths=growths,
            volumes=volumes,
        )
        self._turns = Turns(config.reading.chunk_bytes)
        self._asked: dict[str, float] = {}  # pods whose metadata is waited for, since when
        self._waiting_since: float | None = None
        self._next_keep = self._beat = clock.monotonic()

    def step(self) -> float:
        """One tick; seconds until the next one is due."""
        now = self._beat = self._clock.monotonic()
        self._ship.settle()
        self._files.discover(now, self._clock.wall_ns())
        self._files.measure(now)
        if self._positions.news and not self._positions.trouble:
            self._positions.sync()
        self._read(now)
        if self._journals is not None:
            self._journals.step(now)
        if self._forward is not None:
            self._forward.check()
        self._files.conclude()
        self._keep(now)
        return self._pause(now)

    # -- read --------------------------------------------------------------------------------

    def _read(self, now: float) -> None:
        reading = self._config.reading

        def due(tail: Tail) -> bool:
            return tail.due(now, target=reading.chunk_bytes, linger=reading.linger_s)

        def serve(stream: Stream, tail: Tail) -> int:
            version = self._pod_version(stream.source.uid, now)
            return 0 if version is None else self._chunk(tail, version, now)

        for tail, stream in self._files.busy.items():
            if due(tail):
                self._turns.enter(stream)
        self._turns.go(budget=_STEP_BYTES, room=self._ship.room, due=due, serve=serve)

    def _chunk(self, tail: Tail, version: int, now: float) -> int:
        """Read and send one chunk; bytes taken."""
        lane = tail.lane
        try:
            piece = tail.take(self._window, target=self._config.reading.chunk_bytes, now=now)
        except Rewritten as found:
            self._endings.truncated(tail, seen=found.seen)
            return 0
        except OSError as error:
            self._endings.unreadable(tail, error, now=now)
            return 0
        if piece is None or lane is None:
            return 0
        tail.failures = 0
        if not tail.announced:
            self._ship.open(lane)
            tail.announced = True
        self._ship.chunk(lane, piece, pod_version=version)
        return len(piece.raw)

    def _pod_version(self, uid: str, now: float) -> int | None:
        """None: the pod's metadata is still being fetched, and was not waited for too long."""
        if not uid:
            return 0
        version = self._pods.version(uid)
        if version is not None:
            self._asked.pop(uid, None)
            return version
        asked = self._asked.setdefault(uid, now)
        return None if now - asked < self._config.pod_wait_s else 0

    # -- keep --------------------------------------------------------------------------------

    def _keep(self, now: float) -> None:
        if now < self._next_keep:
            return
        self._next_keep = now + _KEEP_EVERY
        self._save_positions()
        gauge = self._telemetry.gauge
        gauge(metrics.BACKLOG_BYTES, backlog(self._files.busy))
        gauge(metrics.UNACKED_BYTES, self._ship.unacked_raw)
        gauge(metrics.OLDEST_UNACKED, self._oldest_age(now))
        gauge(metrics.OPEN_FILES, sum(len(stream.tails) for stream in self._files.streams()))

    def _save_positions(self) -> None:
        """With the sizes last seen, so that what may yet be lost can be named."""
        for tail in self._files.busy:
            if tail.lane is not None:
                self._positions.saw(tail.lane.file_id, tail.size)
        self._positions.sync()

    def _oldest_age(self, now: float) -> float:
        times = [
            tail.unread_since
            for tail in self._files.busy
            if tail.unread_since is not None and tail.tried != tail.size
        ]
        if (sent := self._ship.oldest) is not None:
            times.append(sent)
        return now - min(times, default=now)

    def _pause(self, now: float) -> float:
        if not (self._ship.waits or self._turns):
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = now
        if self._turns and not self._ship.blocked:
            return 0.0
        if self._files.busy or (self._journals is not None and self._journals.busy):
            return self._config.reading.tick_s
        idle = self._config.reading.poll_s if self._files.polling else _LONGEST_SLEEP
        return max(0.0, min(idle, self._files.next_sweep - now))

    # -- stop, health ------------------------------------------------------------------------

    def health(self) -> str | None:
        """Liveness is progress. Called from another thread: reads single values only."""
        now, bound = self._clock.monotonic(), self._config.health_bound_s
        if now - self._beat > bound:
            return f"the loop has not turned for {now - self._beat:.0f} s"
        since = self._waiting_since
        if since is not None and (stuck := now - max(since, self._ship.last_ack)) > bound:
            return f"bytes wait and the broker has acknowledged none for {stuck:.0f} s"
        journal = self._journals.trouble if self._journals is not None else None
        forward = self._forward.trouble if self._forward is not None else None
        return self._positions.trouble or journal or forward

    def drain(self, timeout_s: float) -> None:
        """Stop reading; wait for acknowledgements, but not for ever; make positions durable."""
        deadline = self._clock.monotonic() + timeout_s
        if self._forward is not None:
            self._forward.stop()
        self._ship.settle()
        while self._ship.in_flight and (left := deadline - self._clock.monotonic()) > 0:
            self._clock.sleep(min(left, 0.01))
            self._ship.settle()
        self._save_positions()
        if self._journals is not None:
            self._journals.drain(max(0.0, deadline - self._clock.monotonic()))
        self._files.close()
        self._telemetry.event("stopped", unacknowledged_records=self._ship.in_flight)


def run(
    config: "CollectConfig",
    *,
    broker: Broker,
    pods: PodVersions,
    telemetry: ServiceTelemetry,
    stop: Stop,
    clock: Clock,
    growths: Growths | None = None,
) -> None:
    """Collect until asked to stop."""
    _raise_open_files_limit()
    with ExitStack() as stack:
        positions = stack.enter_context(Positions(config.state_dir, telemetry))
        watch = stack.enter_context(Watch(telemetry, enabled=config.reading.inotify))
        waker = stack.enter_context(Waker())
        producer = broker.producer()
        stack.callback(producer.close, 0.0)
        journals = None
        if config.journal.source != "off":
            from collectors.journal.opening import open_journals

            journals = stack.enter_context(
                open_journals(
                    config, producer=producer, telemetry=telemetry, clock=clock, wake=waker.wake
                )
            )
        forward = None
        if config.forward.listen or config.forward.unix:
            from collectors.forward.opening import open_forward

            forward = stack.enter_context(
                open_forward(
                    config, producer=producer, telemetry=telemetry, clock=clock, wake=waker.wake
                )
            )
        volumes = None
        if config.volumes.enabled:
            from collectors.volumes.opening import open_volumes

            volumes = stack.enter_context(
                open_volumes(config, broker=broker, pods=pods, watch=watch, telemetry=telemetry)
            )
        agent = Agent(
            config, producer=producer, positions=positions, pods=pods, watch=watch, waker=waker,
            telemetry=telemetry, clock=clock, journals=journals, forward=forward, growths=growths,
            volumes=volumes,
        )  # fmt: skip
        if config.health:
            from pipeline.base.health import serve_health

            stack.enter_context(serve_health(config.health, telemetry, agent.health))
        telemetry.event("collecting", node=config.node, roots=[str(r) for r in config.roots])
        while not stop.is_set():
            waker.wait(watch, agent.step())
        agent.drain(config.stop_timeout_s)


def _raise_open_files_limit() -> None:
    """Every log file is held open: the soft limit of 1,024 is a default, not a decision."""
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
