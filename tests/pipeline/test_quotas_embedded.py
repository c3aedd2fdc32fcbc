"""A namespace over its quota, on the real engine: the decision, what is stored by it, that counts
stay right, and that the same records give the same rows."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from pipeline.audit import audit
from pipeline.broker.protocol import TopicPartition
from pipeline.contract.configs import ConfigVersion, decode_config, encode_config, share_in
from pipeline.contract.record import FileEnd, FileOpen, Source, encode_headers
from pipeline.contract.topics import CONFIGS, LOGS
from pipeline.logs import LogProcessor
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from tests.pipeline.stages.feed import chunks_of
from tests.pipeline.store.running import Running, changed
from tests.pipeline.test_logs_embedded import Pipe

LINES, SIZE = 600, 100
RATE = LINES * SIZE // 60  # what a file of a minute makes


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    found = Running(tmp_path_factory.mktemp("quotas") / "data").start()
    yield found
    found.stop()


def opened(running: Running, database: str) -> ClickHouseStore:
    config = changed(running.config, database=database)
    store = open_store(config)
    migrate(store, config)
    store.check()
    return store


def source(namespace: str) -> Source:
    return Source("n1", namespace, "web", f"uid-{namespace}", "main", 0, f"/{namespace}/0.log")


def write(pipe: Pipe, namespace: str, file_id: int) -> None:
    """A minute's lines, beginning now."""
    start = pipe.clock.wall_ns() // 10**9
    data = b"".join(
        b"%sZ stdout F %s\n" % (
            datetime.fromtimestamp(start + n / (LINES / 60), UTC).isoformat()[:19].encode(),
            b"x" * (SIZE - 31),
        )
        for n in range(LINES)
    )  # fmt: skip
    of, now_ms = source(namespace), start * 1000
    pipe.send(LOGS, of.key, b"", encode_headers(FileOpen(of, file_id, "open", "cri", now_ms)))
    cuts = list(range(0, len(data), 7000))
    for event, raw in chunks_of(data, cuts, file_id=file_id, source=of, read_ms=now_ms + 59_000):
        pipe.send(LOGS, of.key, raw, encode_headers(event))
    end = FileEnd(of, file_id, "end", len(data), "rotated", exact=True, seen_ms=now_ms)
    pipe.send(LOGS, of.key, b"", encode_headers(end))


def quota(pipe: Pipe, rate: int, namespaces: list[str], name: str) -> None:
    spec = {"selector": {"namespaces": namespaces},
            "quota": {"bytesPerSecond": rate, "burstBytes": 1}}  # fmt: skip
    thing = {"kind": "ClusterLogConfig", "metadata": {"name": name}, "spec": spec}
    version = ConfigVersion(name, 1, 0, object=thing)
    pipe.send(CONFIGS, version.key, encode_config(version))


def minute(pipe: Pipe, processor: LogProcessor) -> None:
    """Everything of a minute is stored, looked at in the next one, and that is over, too."""
    pipe.drain(processor)
    pipe.clock.advance(71)
    for _ in range(5):
        processor.step(0.1)
    pipe.clock.advance(60 - pipe.clock.wall_ns() / 1e9 % 60)


def shares(pipe: Pipe) -> list[tuple[str, float]]:
    reader = pipe.bus.reader()
    reader.assign([TopicPartition(CONFIGS, 0)])
    values = [decode_config(record.value) for record in reader.poll(0) if record.value]
    return [found for one in values if (found := share_in(one))]


def rows(store: ClickHouseStore) -> list[tuple[object, ...]]:
    return store.query("SELECT file_id, off, weight, body FROM logs ORDER BY file_id, off").rows


def test_a_namespace_over_its_quota(running: Running) -> None:
    store = opened(running, "first")
    pipe = Pipe(store)
    pipe.clock.advance(60 - pipe.clock.wall_ns() / 1e9 % 60)
    quota(pipe, RATE // 10, ["loud"], "loud")
    quota(pipe, RATE // 10, ["calm", "idle"], "calm")
    processor = pipe.processor()
    pipe.drain(processor)
    for number in range(1, 5):  # minutes: a flood of one minute, then decisions
        write(pipe, "loud", number)
        write(pipe, "other", 10 + number)
        minute(pipe, processor)
    processor.close()

    told = shares(pipe)
    assert {name for name, _ in told} == {"loud"}
    assert told[0][1] == pytest.approx(0.3, rel=0.1)  # a tenth of its own, two lent by the idle
    account = {
        row[0]: row[1:]
        for row in store.query(
            "SELECT file_id, count(), sum(weight), sum(nbytes) FROM logs GROUP BY file_id"
        ).rows
    }
    assert account[1][:2] == (LINES, LINES)  # before anything was known
    assert account[14][:2] == (LINES, LINES)  # nobody's quota
    assert 0.2 * LINES < account[4][0] < 0.4 * LINES
    assert account[4][1] == pytest.approx(LINES, rel=0.2)  # weights keep counts right
    shed = store.query("SELECT sum(bytes), groupUniqArray(reason) FROM shed WHERE file_id = 4").rows
    assert shed == [(LINES * SIZE - account[4][2], ["quota"])]
    files = audit(store, database="first", since_ns=0, clock=pipe.clock).files
    assert {file.verdict for file in files} == {"complete"}

    again = opened(running, "second")  # the same records: the same rows
    pipe.store = again
    pipe.bus = _copied(pipe)
    processor = pipe.processor()
    pipe.drain(processor)
    processor.step(2.0)
    processor.close()
    assert rows(again) == rows(store)
    store.close()
    again.close()


def _copied(pipe: Pipe) -> object:
    """The same records on a bus that no group has read."""
    fresh = Pipe(pipe.store)
    reader = pipe.bus.reader()
    reader.assign([TopicPartition(CONFIGS, 0), TopicPartition(LOGS, 0), TopicPartition(LOGS, 1)])
    while records := reader.poll(0):
        for one in records:
            fresh.producer.send(
                one.topic, key=one.key, value=one.value, headers=one.headers,
                partition=one.partition,
            ).result(0)  # fmt: skip
    fresh.clock.advance(3600)
    pipe.clock = fresh.clock
    return fresh.bus
