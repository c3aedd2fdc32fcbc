"""A world for the state processor in virtual time: the bus in memory, a store that keeps rows and
remembers tokens, a fold whose every fact depends on all events before it, and faults between any
two steps."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from pipeline.base.clock import ManualClock
from pipeline.base.errors import Unavailable
from pipeline.base.fold import Folds
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import Record, TopicPartition
from pipeline.contract.facts import EPISODE, TRANSITION, Fact, encode_fact
from pipeline.contract.state import (
    EVENT,
    KINDS,
    OBJECT,
    SAMPLE,
    SIGNAL,
    TICK,
    StateEvent,
    encode_state,
)
from pipeline.contract.tables import FACTS as FACTS_TABLE
from pipeline.contract.topics import FACTS, STATE, STATE_GROUP, topic_specs
from pipeline.eventlog.ledger import Key
from pipeline.eventlog.rows import decode
from pipeline.processor.metadata import Progress, read_progress
from pipeline.state import StateProcessor
from pipeline.state_config import SnapshotLimits, StateBatchLimits, StateProcessorConfig
from tests.models.processor_rig import Crash, Ticking, ToyStore

THE_LOG = TopicPartition(STATE, 0)
TRIPS = "trips"  # an Event with this reason makes the fold raise, half-way


class ChainFold:
    """Deterministic. Each fact holds a digest of all that was folded before: whoever missed an
    event, or saw one more, says something else from then on."""

    KINDS = frozenset(KINDS)

    def __init__(self) -> None:
        self.chain = ""
        self.seen: list[str] = []
        self.count = 0
        self.half_done = 0  # not part of a dump: what a fold that trips may leave behind

    def apply(self, event: StateEvent, offset: int) -> list[Fact]:
        if event.id in self.seen:
            return []
        self.seen = [*self.seen[-50:], event.id]
        self.half_done += 1
        if event.body.get("reason") == TRIPS:
            raise KeyError("what this fold never thought of")
        self.chain = blake2b(
            f"{self.chain}{event.id}{offset}{event.t}{self.half_done}".encode(), digest_size=8
        ).hexdigest()
        self.half_done = 0
        self.count += 1
        facts = []
        if self.count % 3 == 0:
            body = {"machine": "toy", "from": "a", "to": "b", "chain": self.chain}
            facts.append(Fact(TRANSITION, event.t, "node/n", f"t-{self.count}", body))
        if self.count % 5 == 0:
            version = self.count // 5
            body = {"id": "e1", "version": version, "status": "open", "chain": self.chain}
            facts.append(Fact(EPISODE, event.t, "node/n", f"e1:{version}", body))
        return facts

    def dump(self) -> bytes:
        return json.dumps([self.chain, self.seen, self.count]).encode()

    def restore(self, data: bytes) -> None:
        self.chain, self.seen, self.count = json.loads(data)
        self.half_done = 0


class ToyLedger:
    """The ledger's question, answered from the lists."""

    def __init__(self, store: ToyStore) -> None:
        self._store = store

    def stored(self, table: str, partition: int, first: int, last: int) -> set[Key]:
        self._store.tick("before query")
        return {
            (row["ko"], _key(table, row))
            for row in self._store.rows(table)
            if row["kp"] == partition and first <= row["ko"] <= last
        }


def _key(table: str, row: dict) -> str:
    if table in ("facts", "dead_letters"):
        return row["id"].decode()
    if table == "capacity":
        return row["pool"].decode()
    if table == "hpa_1m":
        return f"{row['namespace'].decode()}/{row['name'].decode()}"
    if table in ("episodes", "drains"):
        return f"{row['id'].decode()}:{row['version']}"
    return str(row["ts"] + row["ts_shift"])


def settings(directory: Path, **changes) -> StateProcessorConfig:
    batch = StateBatchLimits(
        events=changes.pop("events", 6), raw_bytes=20_000, linger_s=changes.pop("linger_s", 0.3)
    )
    snapshots = SnapshotLimits(events=changes.pop("snapshot_events", 5), every_s=60)
    whole = {"refold_h": 24 * 365, "tick_s": 60}  # exact whatever happened to the snapshots
    return StateProcessorConfig(
        state_dir=directory, batch=batch, snapshots=snapshots, **(whole | changes)
    )


class World:
    """The log being written, members, faults. Use as a context manager: it owns a directory."""

    def __init__(
        self, *, fold: Callable[[], object] = ChainFold, bus=None, clock=None, **changes
    ) -> None:
        """`bus` and `clock` instead of memory and virtual time."""
        self._directory = tempfile.TemporaryDirectory()
        self.directory = Path(self._directory.name)
        self.clock = clock or ManualClock()
        self.bus = bus or MemoryBroker(clock=self.clock)
        admin = self.bus.admin()
        admin.ensure(topic_specs(1), create=True)
        admin.close()
        self.producer = self.bus.producer()
        self.store = ToyStore(tick=self._tick)
        self.changes = changes
        self.fold = fold
        self.plan: dict[int, BaseException] = {}
        self.hook: Callable[[str], None] = lambda _: None  # sees every effect, and may raise
        self.effects = 0
        self.numbers = 0
        self.poison = 0
        self.telemetry = RecordingTelemetry()
        self.members: list[StateProcessor] = []
        self.fingerprint = "code-1"

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._directory.cleanup()

    # The log

    def event(self, kind: str, body: dict, *, name: str = "") -> StateEvent:
        self.numbers += 1
        t = self.clock.wall_ns() // 1_000_000
        return StateEvent(kind, t, "test", name or f"id-{self.numbers}", body)

    def put(self, event: StateEvent) -> None:
        value, headers = encode_state(event)
        self.put_raw(value, headers)

    def put_raw(self, value: bytes | None, headers=()) -> None:
        self.producer.send(STATE, key=b"default", value=value, headers=headers).result(20)

    def write(self, kind: str = SAMPLE) -> StateEvent:
        event = self.event(kind, _body(kind, self.numbers))
        self.put(event)
        return event

    def put_poison(self) -> None:
        self.poison += 1
        self.put_raw(b'{"v":1,"kind":"sample","t":1,"by":"x","id":"p","body":{"node":3}}')

    # Members

    def member(self, name: str = "member", *, fold: Callable[[], object] | None = None):
        """One more processor in the group, with a directory of its own or a dead one's."""
        processor = StateProcessor(
            settings(self.directory / name, **dict(self.changes)),
            broker=Ticking(self.bus, self._tick),
            store=self.store,
            ledger=ToyLedger(self.store),
            folds=lambda tripped: Folds({"toy": (fold or self.fold)()}, tripped),
            fingerprint=self.fingerprint,
            telemetry=self.telemetry,
            stop=Stop(),
            clock=self.clock,
        )
        save = processor.crew.snapshots.save

        def saving(*args, **kwargs) -> bool:
            self._tick("before snapshot")
            saved = save(*args, **kwargs)
            self._tick("after snapshot")
            return saved

        processor.crew.snapshots.save = saving
        processor.join()
        self.members.append(processor)
        return processor

    def _tick(self, where: str) -> None:
        self.hook(where)
        self.effects += 1
        fault = self.plan.pop(self.effects, None)
        local = where.endswith(("send", "snapshot"))  # neither ever says that the bus is away
        if fault is not None and not (local and isinstance(fault, Unavailable)):
            raise fault

    def fail(self, after: int, fault: BaseException) -> None:
        """The effect that comes after so many others ends in this."""
        self.plan[self.effects + after] = fault

    def step(self, processor: StateProcessor, times: int = 1) -> bool:
        """False if it crashed; then it is a member no more."""
        try:
            for _ in range(times):
                processor.step(0.1)
        except Crash:
            self.members.remove(processor)
            return False
        return True

    def settle(self, limit: int = 3_000) -> None:
        """Everybody works until nothing is left to do."""
        self.plan.clear()
        quiet = 0
        for _ in range(limit):
            for processor in list(self.members):
                self.step(processor)
            self.clock.advance(0.2)
            quiet = quiet + 1 if self.idle() else 0
            if quiet > 20:
                return
        raise AssertionError("the processor does not come to rest")

    def idle(self) -> bool:
        """Ticks go on and on, and are no work."""
        lag = self.bus.admin().group_lag(STATE_GROUP, STATE)[0]
        working = [m.mine for m in self.members if m.mine is not None]
        return lag == 0 and len(working) == 1 and working[0].ready and working[0].open is None

    # What must be true

    def log(self, topic: str = STATE) -> list[Record]:
        reader = self.bus.reader()
        tp = TopicPartition(topic, 0)
        reader.assign([tp])
        records: list[Record] = []
        end = reader.end_offset(tp)  # in virtual time polling takes none
        while reader.position(tp) < end:
            records += reader.poll(0.1)
        reader.close()
        return records

    def truth(self) -> tuple[list[tuple[int, Fact]], dict[int, StateEvent]]:
        """Facts and events, by a fold that never crashed."""
        fold = self.fold()
        facts, events = [], {}
        for record in self.log():
            try:
                event = decode(record.value)
            except ValueError:
                continue
            if event.body.get("node") == 3:
                continue
            events[record.offset] = event
            try:
                facts += [(record.offset, fact) for fact in fold.apply(event, record.offset)]
            except KeyError:
                fold.restore(fold.dump())
        return facts, events


def _body(kind: str, number: int) -> dict:
    node = f"n{number % 3}"
    return {
        SAMPLE: {"node": node, "part": "metrics", "outcome": "ok", "values": {"a": number}},
        SIGNAL: {"pattern": "kubelet.pleg", "node": node, "line": f"line {number}", "off": number},
        EVENT: {"uid": f"u{number}", "reason": "Failed", "object": {"kind": "Pod", "name": "p"}},
        OBJECT: {
            "resource": "pods",
            "type": "ADDED",
            "object": {"metadata": {"name": "p", "uid": f"u{number}", "resourceVersion": "7"}},
        },
        TICK: {},
    }[kind]


_TABLES = {SAMPLE: "node_samples", SIGNAL: "signals", EVENT: "k8s_events", OBJECT: "objects"}


def check_exactly_once(world: World) -> None:
    """Every event has its row once; every fact is on the topic, always the same, and in the
    table once; and all of them are what a fold that never crashed says."""
    facts, events = world.truth()
    first: dict[str, int] = {}
    for offset, event in events.items():
        first.setdefault(event.id, offset)
    for kind, table in _TABLES.items():
        expected = sorted(o for o, e in events.items() if e.kind == kind and first[e.id] == o)
        assert sorted(row["ko"] for row in world.store.rows(table)) == expected, table
    stored = [(row["ko"], row["id"].decode()) for row in world.store.rows(FACTS_TABLE.name)]
    assert sorted(stored) == sorted((offset, fact.id) for offset, fact in facts)
    episodes = [(row["ko"], row["version"]) for row in world.store.rows("episodes")]
    assert sorted(episodes) == sorted(
        (offset, fact.body["version"]) for offset, fact in facts if fact.kind == EPISODE
    )
    sent: dict[str, set[bytes]] = {}
    for record in world.log(FACTS):
        sent.setdefault(dict(record.headers)["id"].decode(), set()).add(record.value)
    assert sent == {fact.id: {encode_fact(fact)[1]} for _, fact in facts}
    for row in world.store.rows(FACTS_TABLE.name):
        (value,) = sent[row["id"].decode()]
        assert json.loads(value)["body"] == json.loads(row["body"])
    dead = Counter(row["id"] for row in world.store.rows("dead_letters"))
    assert set(dead.values()) <= {1}


def away() -> Unavailable:
    return Unavailable("the store is away")


def stop(world: World, processor: StateProcessor) -> None:
    """As a service does when it is asked to."""
    world.members.remove(processor)
    with suppress(Crash):
        processor.finish()
        processor.close()


def committed(world: World) -> Progress:
    consumer = world.bus.consumer(STATE_GROUP)
    found = consumer.committed(THE_LOG)
    consumer.close()
    assert found is not None
    return read_progress(THE_LOG, found)


def nothing(_where: str) -> None:
    return


def store_away(where: str) -> None:
    if where.endswith(("insert", "query")):
        raise Unavailable("the store is away")


def write(world: World, count: int) -> list[StateEvent]:
    return [world.write(SAMPLE if number % 4 else SIGNAL) for number in range(count)]


def crash_at(world: World, where: str, *, times: int = 1) -> None:
    """A member that has worked for a while dies just there."""
    left = times

    def hook(here: str) -> None:
        nonlocal left
        left -= here == where
        if here == where and not left:
            world.hook = nothing
            raise Crash

    member = world.member()
    write(world, 3)
    world.settle()
    world.hook = hook
    for _ in range(40):
        write(world, 9)
        if not world.step(member, 10):
            break
    assert not world.members
    world.clock.advance(60)
