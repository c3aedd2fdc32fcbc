"""A store as a pipeline leaves it: recordings played through the real collectors' readers, the
processors and the folds. Each recording of a node is a cluster of its own, named like it; the log
tree is what node `node-a` of `healthy` wrote."""

import gzip
import itertools
import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from alerts.config import AlertConfig
from alerts.evaluator import Evaluator
from alerts.librarian import Librarian
from collectors.node.host.config import HostConfig
from collectors.node.host.facts import open_host
from collectors.node.metrics_values import metrics_values
from collectors.pods.document import pod_versions, pods_in
from collectors.recording.layout import open_recording
from collectors.recording.play import Play
from pipeline.base.clock import ManualClock
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.console.recording import events_of
from pipeline.console.state import open_folds
from pipeline.contract.record import (
    FileEnd,
    FileOpen,
    Gap,
    Headers,
    PodVersion,
    Source,
    encode_headers,
    encode_pod,
)
from pipeline.contract.state import SAMPLE, StateEvent, encode_state
from pipeline.contract.topics import LOG_GROUP, LOGS, PODS, STATE, STATE_GROUP, topic_specs
from pipeline.eventlog.ledger import StoreLedger as EventLedger
from pipeline.logs import LogProcessor
from pipeline.logs_config import BatchLimits, LogProcessorConfig
from pipeline.stages.timestamps import parse_rfc3339
from pipeline.state import StateProcessor
from pipeline.state_config import StateBatchLimits, StateProcessorConfig
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.config import StoreConfig
from pipeline.store.ledger import StoreLedger
from pipeline.store.migrate import migrate
from tests.alerts.rig import shipped
from tests.pipeline.stages.feed import chunks_of
from tests.pipeline.store.running import Running

RECORDINGS = Path(__file__).parents[1] / "recordings"
NODES = RECORDINGS / "nodes"
TREE = RECORDINGS / "healthy" / "container-logs"
THIS_MACHINE = "this-machine"
FOR_EVER = 3650  # days: recordings grow old, what is stored of them must not
WRITTEN_NS = 1_795_412_260_000_000_000  # just after the last line of the log tree


# Those that a dashboard exists for, or one of its panels.
CLUSTERS = ("healthy", "pleg-hang-runtime", "pods-gone-wrong", "namespace-stuck",
            "hpa-missing-request", "karpenter-scale-up", "cronjob-scale", "hpa-and-drain",
            "karpenter-reasons")  # fmt: skip


class Recorded(NamedTuple):
    """All of it, in a store that runs."""

    store: ClickHouseStore
    config: StoreConfig


@contextmanager
def recorded_store(directory: Path) -> Iterator[Recorded]:
    running = Running(directory / "data").start()
    store = open_store(running.config)
    try:
        config = running.config
        prepared(store, config)
        put_nodes(store, config, directory)
        put_this_machine(store, config, directory)
        put_logs(store)
        yield Recorded(store, config)
    finally:
        store.close()
        running.stop()


def prepared(store: ClickHouseStore, config: StoreConfig) -> None:
    """Tables whose rows do not grow too old."""
    migrate(store, config.model_copy(update={"ttl_days": FOR_EVER}))


def put_nodes(store: ClickHouseStore, config: StoreConfig, directory: Path) -> None:
    """The event logs of these recordings, folded and stored, and what alerted of them."""
    for name in CLUSTERS:
        happenings = Play(open_recording(NODES / name)).happenings()
        put_events(store, config, name, list(events_of(happenings)), directory / name)


def put_this_machine(store: ClickHouseStore, config: StoreConfig, directory: Path) -> None:
    """What no recording has: the host's own figures, of the machine that runs the tests, and the
    certificates of a kubelet that rotates them (its recorded metrics and the two lines more)."""
    with gzip.open(RECORDINGS / "kubelet" / "metrics.txt.gz") as recorded:
        body = recorded.read() + b"".join(
            b"# TYPE kubelet_certificate_manager_%s_ttl_seconds gauge\n"
            b"kubelet_certificate_manager_%s_ttl_seconds %d\n" % (kind, kind, days * 86400)
            for kind, days in ((b"client", 200), (b"server", 5))
        )
    host = open_host(HostConfig(), log_roots=()).read(0.0)
    parts = {"host": host, "metrics": metrics_values(body), "healthz": {"failed": []}}
    written = WRITTEN_NS // 1_000_000
    events = [
        StateEvent(SAMPLE, written, "test", f"this-{part}",
                   {"node": "here", "part": part, "asked_ms": written, "ms": 1, "outcome": "ok",
                    "values": values})
        for part, values in parts.items()
    ]  # fmt: skip
    put_events(store, config, THIS_MACHINE, events, directory)


def put_events(
    store: ClickHouseStore, config: StoreConfig, name: str, events: Sequence[StateEvent],
    directory: Path,
) -> None:  # fmt: skip
    """The event log of a cluster, folded and stored."""
    clock = ManualClock(events[-1].t * 1_000_000)
    bus = MemoryBroker(clock=clock)
    bus.admin().ensure(topic_specs(1), create=True)
    _send(bus, events)
    processor = StateProcessor(
        StateProcessorConfig(
            cluster=name, state_dir=directory, batch=StateBatchLimits(linger_s=0.2)
        ),
        broker=bus,
        store=store,
        ledger=EventLedger(store),
        folds=open_folds,
        fingerprint="recorded",
        telemetry=RecordingTelemetry(),
        stop=Stop(),
        clock=clock,
    )
    processor.wait_for_store()
    processor.join()
    while any(bus.admin().group_lag(STATE_GROUP, STATE).values()):
        processor.step(0.1)
    processor.finish()
    processor.close()
    _put_alerts(config, name, bus, clock)


def _put_alerts(config: StoreConfig, name: str, bus: MemoryBroker, clock: ManualClock) -> None:
    """What the evaluator makes of the facts that the folds concluded."""
    rules = [rule for rule in shipped() if rule.sql is None]
    telemetry = RecordingTelemetry()
    librarian = Librarian(
        lambda: open_store(config), rules, parameters={}, cluster=name, clock=clock,
        telemetry=telemetry,
    )  # fmt: skip
    evaluator = Evaluator(
        AlertConfig(cluster=name), rules=rules, couriers=[], outcomes=queue.Queue(), broker=bus,
        librarian=librarian, telemetry=telemetry, clock=clock,
    )  # fmt: skip
    evaluator.join()
    while evaluator.mine is None or not evaluator.mine.begun:
        evaluator.step(0.0)
    evaluator.close()
    librarian.stop(60)  # it had a moment; the rows are to be there


def _send(bus: MemoryBroker, events: Sequence[StateEvent]) -> None:
    producer = bus.producer()
    for event in events:
        value, headers = encode_state(event)
        producer.send(STATE, key=b"-", value=value, headers=headers).result(0)


def put_logs(store: ClickHouseStore) -> None:
    """The log tree: every file whole, but for one with a named gap, and one record that cannot be
    read."""
    clock = ManualClock(WRITTEN_NS)
    bus = MemoryBroker(clock=clock)
    bus.admin().ensure(topic_specs(2), create=True)
    producer = bus.producer()
    for pod in _pods():
        producer.send(PODS, key=pod.uid.encode(), value=encode_pod(pod)).result(0)
    for key, value, headers in _log_records():
        producer.send(LOGS, key=key, value=value, headers=headers).result(0)
    processor = LogProcessor(
        LogProcessorConfig(batch=BatchLimits(rows=5000, linger_s=0.3)),
        broker=bus,
        store=store,
        ledger=StoreLedger(store),
        telemetry=RecordingTelemetry(),
        stop=Stop(),
        clock=clock,
    )
    processor.join()
    while any(bus.admin().group_lag(LOG_GROUP, LOGS).values()):
        processor.step(0.1)
    processor.finish()
    processor.close()


def _pods() -> Iterator[PodVersion]:
    text = (RECORDINGS / "healthy" / "pods.json").read_text()
    for pod in pods_in(text):
        yield from pod_versions(pod, "node-a")


def _log_records() -> Iterator[tuple[bytes, bytes, Headers]]:
    numbers = itertools.count(100)
    for path, source in _files():
        file_id, data = next(numbers), path.read_bytes()
        opened = FileOpen(source, file_id, "open", "cri", _written_ms(data))
        yield source.key, b"", encode_headers(opened)
        cuts = list(range(0, len(data), 60_000))
        for event, raw in chunks_of(data, cuts, file_id=file_id, source=source):
            yield source.key, raw, encode_headers(event)
        seen = _written_ms(data)
        gap = Gap(source, file_id, "gap", len(data), len(data) + 4096, "rotated-away", True, seen)
        if path.name == "0.log" and source.container == "main" and source.pod == "fast":
            yield source.key, b"", encode_headers(gap)
        else:
            end = FileEnd(source, file_id, "end", len(data), "deleted", exact=True, seen_ms=seen)
            yield source.key, b"", encode_headers(end)
    yield source.key, b"neither log nor gap", (("kind", b"?"),)


def _files() -> Iterator[tuple[Path, Source]]:
    for pod in sorted(TREE.iterdir()):
        namespace, name, uid = pod.name.split("_")
        for path in sorted(pod.glob("*/*.log*")):
            if path.suffix != ".gz" and path.stat().st_size:
                source = Source("node-a", namespace, name, uid, path.parent.name, 0, str(path))
                yield path, source


def _written_ms(data: bytes) -> int:
    """When the last line was written."""
    written = parse_rfc3339(data.rstrip(b"\n").rsplit(b"\n", 1)[-1].split(b" ", 1)[0])
    assert written is not None
    return written // 1_000_000
