"""The collector when the bus takes nothing, takes and never answers, or takes less than is
written; and when there are more files than any node should have."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.bounds import MAX_CHUNK_RAW
from pipeline.contract import metrics
from pipeline.contract.record import Chunk
from tests.collectors.rig import Kubelet, Rig, open_descriptors

BOUND = 1 << 20
MIB = 1 << 20


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    (tmp_path / "pods").mkdir()
    limits = {"unacked_bytes": BOUND, "unacked_compressed_bytes": BOUND}
    return Rig(tmp_path / "pods", tmp_path / "state", limits=limits)


def held(rig: Rig) -> int:
    """Bytes that the collector keeps in memory for the bus."""
    return sum(len(value) for _, _, value in rig.producer.pending)


def seconds_left(rig: Rig) -> float:
    return rig.telemetry.values[metrics.TIME_TO_LOSS.name, ()]


def test_a_broker_that_is_away_for_five_minutes_costs_nothing_but_time(rig: Rig) -> None:
    """Memory stays at its bound, the rest waits in the files, rotations included."""
    pod = Kubelet(rig.root)
    rig.producer.auto = False
    contents, live = [], b""
    with rig.started():
        for second in range(300):
            live += pod.write(150, size=100)
            if second % 60 == 59:
                contents.append(live)
                pod.rotate()
                live = b""
            rig.run(1, tick=0.25)
            assert rig.agent._ship.unacked_raw <= BOUND + MAX_CHUNK_RAW
            assert held(rig) <= BOUND
        assert sum(map(len, contents)) > 4 * BOUND
        assert "acknowledged none" in str(rig.agent.health())
        rig.producer.auto = True
        rig.producer.ack()
        rig.run(15, tick=0.5)
        assert rig.agent.health() is None
        files = [file for file in rig.files().values() if file.ranges]
        assert sorted(file.content() for file in files) == sorted(contents)
        assert not any(file.gaps for file in files)


def test_a_broker_that_never_acknowledges_moves_no_position(rig: Rig) -> None:
    """It took everything, and told nobody: the next life sends all of it again."""
    pod = Kubelet(rig.root)
    rig.producer.auto = False
    written = pod.write(40_000, size=100)
    with rig.started():
        rig.run(120, tick=0.5)
        sent = len(rig.producer.pending)
        assert held(rig) <= BOUND
        assert "acknowledged none" in str(rig.agent.health())
        rig.run(60, tick=0.5)
        assert len(rig.producer.pending) == sent  # nothing is sent twice meanwhile
        before = rig.clock.monotonic()
    assert rig.clock.monotonic() - before <= 11  # and stopping does not wait for ever
    rig.producer.pending.clear()
    rig.producer.auto = True
    with rig.started():
        rig.run(5, tick=0.5)
        assert rig.only().content() == written


def test_a_slow_bus_holds_reading_back_and_the_loss_is_foretold(rig: Rig) -> None:
    """The bus takes a tenth of what is written. The forecast names the second at which the
    rotation budget, 2 files of 4 MiB, is used up; then the bus recovers in time."""
    rig.settings["rotation"] = {"max_size_bytes": 4 * MIB, "max_files": 2, "warn_s": 60}
    pod = Kubelet(rig.root)
    rig.producer.auto = False
    written = b""
    foretold: list[float] = []
    with rig.started():
        for second in range(60):
            written += pod.write(1000, size=100)
            if second % 10 == 9:
                rig.producer.ack(1)
            rig.run(1, tick=0.25)
            foretold.append(second + seconds_left(rig))
        warnings = [fields for name, fields in rig.telemetry.events if name == "loss-ahead"]
        assert len(warnings) == 1
        assert warnings[0]["path"].endswith("main/0.log")
        # 100,000 bytes a second less what is taken; 8 MiB are full after about 90 seconds.
        assert all(75 < at < 105 for at in foretold[40:])
        rig.producer.auto = True
        rig.producer.ack()
        rig.run(30, tick=0.5)
        assert seconds_left(rig) == float("inf")
        assert rig.only().content() == written


@pytest.fixture
def many_descriptors() -> Iterator[int]:
    """As many open files as this machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_ten_thousand_files(tmp_path: Path, many_descriptors: int) -> None:
    """All of them are read, few records are in flight at a time, and quiet ones cost nothing."""
    if many_descriptors < 10_500:
        pytest.skip(f"only {many_descriptors} open files are allowed here")
    (tmp_path / "pods").mkdir()
    rig = Rig(tmp_path / "pods", tmp_path / "state", limits={"unacked_records": 500})
    rig.producer.auto = False
    before = open_descriptors()
    written = sorted(Kubelet(rig.root, pod=n).write(2) for n in range(10_000))
    with rig.started():
        delivered = rounds = 0
        while delivered < 10_000:
            rig.step()
            assert len(rig.producer.pending) <= 500 + 2
            rig.producer.ack()
            delivered = sum(isinstance(event, Chunk) for event, _ in rig.producer.records)
            assert (rounds := rounds + 1) < 200
        assert sorted(file.content() for file in rig.files().values()) == written
        rig.producer.auto = True
        rig.run(12, tick=0.5)
        assert not rig.agent._files.busy
    assert open_descriptors() <= before  # an earlier test's may have been closed meanwhile
