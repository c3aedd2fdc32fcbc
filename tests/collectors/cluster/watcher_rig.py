"""The real watcher against a FakeApi over real sockets, on a bus in memory."""

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from collectors.cluster.api import Connect, connector
from collectors.cluster.config import WatchConfig
from collectors.cluster.resources import NAMES
from collectors.cluster.service import run
from pipeline.base.clock import Clock, SystemClock
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import ServiceTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import TopicPartition
from pipeline.contract.state import StateEvent, decode_state
from pipeline.contract.topics import STATE, topic_specs
from tests.collectors.cluster.fake_api import FakeApi
from tests.collectors.cluster.reader import Reader

WATCHED = ("nodes", "leases", "pods", "events", "events.k8s.io")
PODS, NODES, EVENTS = "/api/v1/pods", "/api/v1/nodes", "/api/v1/events"
NODE_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
FAST_LEASE = {"duration_s": 3.0, "renew_s": 2.0, "retry_s": 0.2}


def settings(**more: object) -> WatchConfig:
    values: dict[str, object] = {
        "cluster": "lab",
        "without": [name for name in NAMES if name not in WATCHED],
        "health": "",
        "lease": {"enabled": False},
        "limits": {"start_spread_s": 0},
        "stop_timeout_s": 3.0,
    }
    return WatchConfig.model_validate({**values, **more})


def bus() -> MemoryBroker:
    broker = MemoryBroker()
    broker.admin().ensure(topic_specs(partitions=1), create=True)
    return broker


def events_of(broker: MemoryBroker) -> list[StateEvent]:
    reader = broker.reader()
    reader.assign([TopicPartition(STATE, 0)])
    found: list[StateEvent] = []
    while records := reader.poll(0):
        assert {record.key for record in records} == {b"lab"}
        found += [decode_state(record.value or b"") for record in records]
    return found


def until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait for it; a condition that never holds fails here."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.02)


@dataclass
class AheadClock(SystemClock):
    """The machine's clock, and so many seconds more."""

    ahead_s: float = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@dataclass
class RunningWatcher:
    """A context manager: `run` on a thread of its own. What it raised is raised at the end,
    unless `failure` was looked at."""

    config: WatchConfig
    broker: MemoryBroker
    connect: Connect
    seed: int = 1
    clock: Clock = field(default_factory=SystemClock)
    log: io.StringIO = field(default_factory=io.StringIO)
    failure: BaseException | None = None

    @classmethod
    def on(
        cls, api: FakeApi, folder: Path, broker: MemoryBroker, **more: object
    ) -> "RunningWatcher":
        ca = more.pop("ca", None)
        seed, clock = more.pop("seed", 1), more.pop("clock", SystemClock())
        file = api.kubeconfig(folder, ca=ca)  # type: ignore[arg-type]
        connect = connector(file, "", connections=20)
        return cls(settings(**more), broker, connect, seed, clock)  # type: ignore[arg-type]

    def __enter__(self) -> "RunningWatcher":
        self.stop = Stop()
        self.telemetry = ServiceTelemetry("watch", stream=self.log)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            run(
                self.config,
                connect=self.connect,
                broker=self.broker,
                telemetry=self.telemetry,
                stop=self.stop,
                clock=self.clock,
                random=Random(self.seed),
            )
        except BaseException as error:  # noqa: BLE001 - raised again by __exit__
            self.failure = error

    def end(self) -> None:
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "does not stop"

    def __exit__(self, *_: object) -> None:
        self.end()
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    def alive(self) -> bool:
        return self._thread.is_alive()


def watched(api: FakeApi, *paths: str) -> bool:
    """All of these are being watched."""
    return {path for path, _ in list(api.watched_from)} >= set(paths)


def truth(api: FakeApi, path: str) -> dict[str, str]:
    with api.changing():
        found = [api.store.objects[path, name]["metadata"] for name in api.store.names(path)]
        return {meta["uid"]: meta["resourceVersion"] for meta in found}


def believed(reader: Reader, resource: str) -> dict[str, str]:
    objects = reader.objects.get(resource, {})
    return {uid: obj["metadata"]["resourceVersion"] for uid, obj in objects.items()}


def agrees(api: FakeApi, broker: MemoryBroker) -> bool:
    """A reader of the log knows what the server knows."""
    reader = Reader().read(events_of(broker))
    return believed(reader, "pods") == truth(api, PODS) and believed(reader, "nodes") == truth(
        api, NODES
    )
