"""To the broker: order, bounds, and what happens to a record that is refused."""

from pathlib import Path

import pytest

from collectors.ship import REFUSED_IN_A_ROW
from pipeline.base.errors import Fatal, Rejected, Unavailable
from pipeline.contract.record import Chunk, FileEnd, LogRecord
from tests.collectors.rig import Kubelet, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    (tmp_path / "pods").mkdir()
    return Rig(tmp_path / "pods", tmp_path / "state", reading={"chunk_bytes": 64 * 1024})


def test_positions_follow_acknowledgements_only(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    rig.producer.auto = False
    with rig.started():
        pod.write(5000, size=100)
        rig.run(1)
        ((_, position),) = rig.positions.items()
        assert position.acked == 0
        rig.producer.ack(3)  # the open record and two chunks
        rig.step()
        ((_, position),) = rig.positions.items()
        assert 2 * 60_000 < position.acked <= 2 * 64 * 1024


def test_acknowledgements_out_of_order_wait_for_the_oldest(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    rig.producer.auto = False
    with rig.started():
        pod.write(5000, size=100)
        rig.run(1)
        first = rig.producer.pending.pop(1)
        rig.producer.ack()
        rig.step()
        ((_, position),) = rig.positions.items()
        assert position.acked == 0
        rig.producer.pending.append(first)
        rig.producer.ack()
        rig.step()
        ((_, position),) = rig.positions.items()
        assert position.acked == 500_000


def test_a_chunk_that_is_too_large_is_read_again_in_halves(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    written = pod.write(5000, size=100)

    def refuse(event: LogRecord, value: bytes) -> BaseException | None:
        too_large = isinstance(event, Chunk) and event.raw_length > 20_000
        return Rejected("message too large") if too_large else None

    rig.producer.refuse = refuse
    with rig.started():
        rig.run(5)
        file = rig.only()
        assert file.content() == written
        assert not file.gaps
        offsets = [offset for offset, _ in file.ranges]
        assert offsets == sorted(set(offsets))
    assert rig.telemetry.values["kubeledger_produce_errors_total", ("refused",)] >= 2


def test_when_later_chunks_were_taken_the_refused_bytes_are_named(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    written = pod.write(5000, size=100)

    def refuse(event: LogRecord, value: bytes) -> BaseException | None:
        second = isinstance(event, Chunk) and 0 < event.offset < 70_000
        return Rejected("this one not") if second else None

    rig.producer.refuse = refuse
    rig.producer.auto = False
    with rig.started():
        rig.run(1)
        rig.producer.ack()
        rig.producer.auto = True
        rig.run(2)
        file = rig.only()
        (gap,) = file.gaps
        assert (gap.reason, gap.exact) == ("refused", True)
        held = sorted([(o, o + len(r)) for o, r in file.ranges] + [(gap.start, gap.stop)])
        assert [stop for _, stop in held[:-1]] == [start for start, _ in held[1:]]
        assert held[-1][1] == len(written)
        ((_, position),) = rig.positions.items()
        assert position.acked == len(written)


def test_a_line_that_no_size_makes_acceptable_is_named_and_the_rest_goes_on(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    before, poison, after = pod.write(3), b"poison " * 3 + b"\n", b""
    pod.append(poison)
    with rig.started():
        rig.producer.refuse = lambda event, value: (
            Rejected("no") if isinstance(event, Chunk) and event.offset == 0 else None
        )
        rig.run(1)
        after = pod.write(3)
        rig.run(1)
        file = rig.only()
        assert [(g.start, g.stop, g.reason) for g in file.gaps] == [
            (0, len(before + poison), "refused")
        ]
        assert file.ranges == [(len(before + poison), after)]


def test_a_broker_that_refuses_everything_stops_the_collector_not_the_data(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    rig.producer.refuse = lambda event, value: Rejected("no") if isinstance(event, Chunk) else None
    with rig.started():
        with pytest.raises(Fatal, match=rf"refused {REFUSED_IN_A_ROW} chunks in a row"):  # noqa: PT012
            for _ in range(20):
                pod.write()
                rig.run(0.5)
        assert len(rig.only().gaps) == REFUSED_IN_A_ROW


def test_a_broker_that_refuses_records_without_value_is_no_place_for_logs(rig: Rig) -> None:
    Kubelet(rig.root).write()
    rig.producer.refuse = lambda event, value: Rejected("not authorised")
    with rig.started(), pytest.raises(Fatal, match="rights"):
        rig.run(1)


def test_a_delivery_that_failed_is_read_again(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    written = pod.write(5000, size=100)
    rig.producer.refuse = lambda event, value: Unavailable("gave up")
    with rig.started():
        rig.run(1)
        assert not rig.producer.records
        rig.producer.refuse = lambda event, value: None
        rig.run(3)
        assert rig.only().content() == written
        assert not rig.only().gaps


def test_a_topic_that_is_gone_is_said_once_and_asked_for_ever_more_rarely(rig: Rig) -> None:
    """What is told of it is a log that this collector reads: more of it each round would be worse
    each round."""
    pods = [Kubelet(rig.root, pod=n) for n in range(1, 6)]
    sent: list[LogRecord] = []

    def refuse(event: LogRecord, value: bytes) -> BaseException:
        sent.append(event)
        return Fatal("topic kubeledger.logs does not exist")

    rig.producer.refuse = refuse
    with rig.started():
        for _ in range(70):
            for pod in pods:
                pod.write(2)
            rig.run(1)
        # 70 s are 0.25 + 0.5 + 1 + 2 + 4 and 13 times 5; an open record and a chunk each.
        assert len(sent) <= 19 * 2 * len(pods)
        assert "acknowledged none" in (rig.agent.health() or "")
        notices = [fields["text"] for name, fields in rig.telemetry.events if name == "bus.notice"]
        assert notices == [
            "records are not taken, and are read again: topic kubeledger.logs does not exist"
        ]
        rig.producer.refuse = lambda event, value: None
        rig.run(6)
        lines = [len(file.content().splitlines()) for file in rig.files().values()]
        assert lines == [140] * 5
        assert rig.agent.health() is None
        assert rig.telemetry.events[-1][1]["text"] == "records are taken again"


def test_an_end_record_that_failed_is_sent_again(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    failures = iter([Unavailable("gave up")])
    rig.producer.refuse = lambda event, value: (
        next(failures, None) if isinstance(event, FileEnd) else None
    )
    with rig.started():
        pod.write()
        rig.run(1)
        pod.rotate()
        rig.run(20)
        assert len(rig.only().ends) == 1
        assert rig.telemetry.values["kubeledger_open_files", ()] == 1
