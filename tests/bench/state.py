"""State processor: records of the event log to blocks, facts and state, events per CPU-second of
one core. The bus is in memory and the store encodes its blocks and drops them, so what is counted
is this process alone; `path` is without a fold, `readiness` with the real one."""

import itertools
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from pipeline.base.block import Block
from pipeline.base.clock import ManualClock
from pipeline.base.fold import Folds
from pipeline.base.garbage import collect_rarely
from pipeline.base.lifecycle import Stop
from pipeline.base.seen import Seen
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.contract.facts import TRANSITION, Fact
from pipeline.contract.metrics import ROWS
from pipeline.contract.state import KINDS, StateEvent, encode_state
from pipeline.contract.tables import TABLES
from pipeline.contract.topics import STATE, STATE_GROUP, topic_specs
from pipeline.eventlog.machine import Opening
from pipeline.state import StateProcessor
from pipeline.state_config import SnapshotLimits, StateProcessorConfig
from pipeline.store.native import encode_block
from pipeline.verdicts import open_diagnosis
from tests.bench.fleet import START_MS, Fleet
from tests.bench.measure import MIB, memory_mib
from tests.bench.report import at_least, emit

NODES, PODS, ROUNDS, RUNS = 1_000, 20, 12, 3
_REVISION = 54460


class NoFold:
    """A fact per hundred events, and nothing to remember."""

    KINDS = frozenset(KINDS)

    def __init__(self) -> None:
        self._count = 0

    def apply(self, event: StateEvent, offset: int) -> list[Fact]:
        self._count += 1
        if self._count % 100:
            return []
        body = {"machine": "node", "from": "a", "to": "b", "reason": "r", "source": offset}
        return [Fact(TRANSITION, event.t, "node/n", f"t-{offset}", body)]

    def dump(self) -> bytes:
        return b"%d" % self._count

    def restore(self, data: bytes) -> None:
        self._count = int(data)


class Encoding:
    """A store that makes the bytes of every block and drops them."""

    def __init__(self) -> None:
        self._types = {t.name: {c.name: c.type for c in t.columns} for t in TABLES}
        self.bytes = 0

    def insert(self, table: str, block: Block, *, token: str) -> None:
        self.bytes += sum(map(len, encode_block(block, self._types[table], _REVISION)))

    def stored(self, table: str, partition: int, first: int, last: int) -> frozenset:
        return frozenset()


def run(work: Path) -> None:
    collect_rarely()  # as the service does
    fleet = Fleet(NODES, PODS)
    events = itertools.chain(fleet.beginning(), fleet.rounds(ROUNDS))
    log = [(*encode_state(event), event.t) for event in events]
    opened: dict[str, Opening] = {
        "path": lambda tripped: Folds({"none": NoFold()}, tripped),
        "readiness": lambda tripped: Folds({"r": open_diagnosis()}, tripped, seen=Seen()),
    }
    for name, folds in opened.items():
        runs = [_rate(log, folds) for _ in range(RUNS)]
        emit(
            f"state.{name}.rate",
            [rate for rate, _ in runs],
            "events/CPU-s",
            target=at_least(20_000),
            events=len(log),
            nodes=NODES,
            **runs[0][1],
        )


def _rate(log: Iterable, folds: Opening) -> tuple[float, dict]:
    clock = ManualClock(START_MS * 1_000_000)
    bus = MemoryBroker(clock=clock)
    bus.admin().ensure(topic_specs(1), create=True)
    producer, count, size = bus.producer(), 0, 0
    for value, headers, t in log:
        producer.send(STATE, key=b"-", value=value, headers=headers, timestamp_ms=t)
        count, size = count + 1, size + len(value)
    store, telemetry = Encoding(), RecordingTelemetry()
    with tempfile.TemporaryDirectory() as directory:
        processor = StateProcessor(
            StateProcessorConfig(
                state_dir=Path(directory), snapshots=SnapshotLimits(events=10**9, every_s=10**6)
            ),
            broker=bus,
            store=store,  # type: ignore[arg-type]
            ledger=store,
            folds=folds,
            fingerprint="bench",
            telemetry=telemetry,
            stop=Stop(),
            clock=clock,
        )
        processor.join()
        start = time.process_time()
        while bus.admin().group_lag(STATE_GROUP, STATE)[0]:
            processor.step(0.0)
            clock.advance(0.05)
        spent = time.process_time() - start
        dumped = time.process_time()
        dump = processor.crew.machine.dump()
        dumped = time.process_time() - dumped
        processor.close()
    return count / spent, {
        "mb_s": round(size / spent / 1e6, 1),
        "rows": int(telemetry.values[ROWS.name, ()]),
        "block_mb": round(store.bytes / MIB, 1),
        "dump_mb": round(sum(map(len, dump.values())) / MIB, 1),
        "dump_s": round(dumped, 2),
        "rss_mib": round(memory_mib("self", "VmRSS")),  # type: ignore[arg-type]
    }
