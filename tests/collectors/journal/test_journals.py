"""Journals on their way to the bus: order, restarts, rolled files, what is lost and how it is
named."""

import json
from pathlib import Path

import pytest

from pipeline.base.errors import Rejected
from pipeline.contract.record import JOURNAL, REFUSED, ROTATED_AWAY, Chunk, FileOpen
from tests.collectors.journal.rig import START_US, Node, ToyJournal, ends


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "state")


def test_one_log_per_unit(node: Node) -> None:
    for program in ("kubelet", "kernel", "systemd", "containerd", "kubelet"):
        node.journal.write(program, f"{program} says")
    node.start()
    node.run()
    assert node.logs() == {
        "kubelet": ["kubelet says"] * 2,
        "kernel": ["kernel says"],
        "systemd": ["systemd says"],
        "containerd": ["containerd says"],
    }
    (open_event, chunk), *_ = [f.events for f in node.files().values()]
    assert isinstance(open_event, FileOpen)
    assert isinstance(chunk, Chunk)
    source = chunk.source
    assert (source.node, source.uid, source.container) == ("node-a", "", "kubelet")
    assert (source.path, chunk.format) == ("journal:kubelet.service", JOURNAL)
    assert {e.source.path for e, _ in node.producer.records} == {
        "journal:kubelet.service", "journal:containerd.service", "journal:kernel",
        "journal:systemd",
    }  # fmt: skip
    lines = [json.loads(line) for f in node.files().values() for line in f.content().splitlines()]
    assert lines[0] == {
        "ts": (START_US + 1000) * 1000, "p": 6, "pid": 77, "unit": "kubelet.service",
        "msg": "kubelet says",
    }  # fmt: skip
    node.stop()


def test_goes_on_where_it_stopped(node: Node) -> None:
    for life in range(4):
        for i in range(3):
            node.journal.write("kubelet", f"{life}.{i}")
        node.start()
        node.run()
        node.stop()
    assert node.logs() == {"kubelet": [f"{life}.{i}" for life in range(4) for i in range(3)]}
    assert len(node.files()) == 1
    assert not ends(node)


def test_after_a_kill_bytes_come_again_at_their_offsets(node: Node) -> None:
    node.producer.auto = False
    node.start()
    for i in range(5):
        node.journal.write("kubelet", f"one {i}")
        node.run(0.5)
    node.producer.ack(3)  # open, two chunks
    node.run(1.5)
    node.kill()
    node.producer.ack()  # they arrive all the same
    for i in range(5):
        node.journal.write("kubelet", f"two {i}")
    node.producer.auto = True
    node.start()
    node.run()
    assert node.logs() == {"kubelet": [f"{n} {i}" for n in ("one", "two") for i in range(5)]}
    (file,) = node.files().values()
    assert sum(len(raw) for _, raw in file.ranges) > len(file.content()), "some came twice"
    node.stop()


def test_positions_move_with_acknowledgements_only(node: Node) -> None:
    node.producer.auto = False
    node.start()
    node.journal.write("kubelet", "x")
    node.run(2)
    ((_, position),) = node.positions.items()
    assert (position.acked, position.mark[0]) == (0, "<")
    node.producer.ack()
    node.run(1)
    ((_, position),) = node.positions.items()
    assert position.acked > 0
    assert position.mark.startswith("s=")
    node.stop()


def test_a_kill_before_anything_was_acknowledged_begins_the_same_file(node: Node) -> None:
    node.producer.auto = False
    node.start()
    node.journal.write("kernel", "first")
    node.journal.write("kernel", "second")
    node.run()
    node.kill()
    node.producer.pending.clear()  # nothing arrived
    node.producer.auto = True
    node.start()
    node.run()
    assert node.logs() == {"kernel": ["first", "second"]}
    assert len(node.files()) == 1
    node.stop()


def test_silent_logs_neither_hold_up_a_restart_nor_count_as_lost(node: Node) -> None:
    node.journal.write("docker", "long ago")
    node.start()
    node.run()
    for i in range(100):
        node.journal.write("kubelet", str(i))
    node.run(40)
    node.kill()
    node.journal.vacuum(80)
    node.journal.write("docker", "again")
    node.start()
    assert "i=65" in node.source.cursor, "not from the silent log's last entry on"
    node.run()
    node.stop()
    assert node.logs()["docker"] == ["long ago", "again"]
    assert node.logs()["kubelet"] == [str(i) for i in range(100)]
    assert not ends(node)


def test_entries_that_were_vacuumed_are_a_gap(node: Node) -> None:
    node.journal.write("kubelet", "one")
    node.journal.write("kernel", "one")
    node.start()
    node.run()
    node.stop()
    for i in range(10):
        node.journal.write("kubelet", f"gone {i}")
    node.journal.write("kubelet", "two")
    node.journal.vacuum(12)
    node.start()
    node.run(2)
    node.stop()
    files = list(node.files().values())
    assert [f.events[0].source.container for f in files] == ["kubelet", "kernel", "kubelet"]
    for file in files[:2]:
        (gap,), (end,) = file.gaps, file.ends
        size = len(file.content())
        assert (gap.start, gap.stop, gap.reason, gap.exact) == (size, size + 1, ROTATED_AWAY, False)
        assert (end.size, end.exact) == (size + 1, False)
    assert json.loads(files[2].content())["msg"] == "two"
    assert not files[2].ends
    assert "journal-entries-lost" in node.telemetry.names()


def test_vacuumed_while_running(node: Node) -> None:
    node.journal.write("kubelet", "one")
    node.start()
    node.run()
    node.journal.write("kubelet", "gone")
    node.journal.write("kubelet", "two")
    node.journal.vacuum(2)
    node.source.again()
    node.run(2)
    assert node.logs() == {"kubelet": ["one", "two"]}
    assert [end.exact for end in ends(node)] == [False]
    node.stop()


def test_a_new_boot_begins_a_new_file(node: Node) -> None:
    node.journal.write("kernel", "one")
    node.start()
    node.run()
    node.stop()
    node.journal.boot = 1
    node.journal.write("kernel", "two")
    node.start()
    node.run(2)
    first, second = node.files().values()
    (end,) = first.ends
    assert (end.size, end.exact) == (len(first.content()), True)
    assert json.loads(second.content())["msg"] == "two"
    node.stop()
    node.start()
    node.run()
    node.stop()
    assert len(node.files()) == 2


def test_files_do_not_grow_for_ever(tmp_path: Path) -> None:
    node = Node(tmp_path, file_bytes=1 << 20)
    node.start()
    for i in range(300):
        node.journal.write("kubelet", f"{i:05d}" + "x" * 10_000)
        if i % 10 == 0:
            node.run(0.5)
    node.run(5)
    node.stop()
    files = list(node.files().values())
    assert len(files) == 3
    for file in files[:2]:
        (end,) = file.ends
        assert end.exact
        assert end.size == len(file.content()) >= 1 << 20
    assert [m[:5] for m in node.logs()["kubelet"]] == [f"{i:05d}" for i in range(300)]


def test_the_next_file_waits_for_the_end_of_the_one_before(tmp_path: Path) -> None:
    node = Node(tmp_path, file_bytes=1 << 20)
    node.producer.auto = False
    node.start()
    for i in range(110):
        node.journal.write("kubelet", f"{i:05d}" + "x" * 10_000)
    node.journal.boot = 1
    node.journal.write("kubelet", "next")
    node.run(3)
    assert len({event.file_id for _, event, _ in node.producer.pending}) == 1
    assert len(list(node.positions.items())) == 1
    for _ in range(50):
        node.producer.ack()
        node.run(0.3)
    assert [len(f.ends) for f in node.files().values()] == [1, 1, 0]
    assert node.logs()["kubelet"][-1] == "next"
    node.stop()


def test_the_journal_is_the_buffer(tmp_path: Path) -> None:
    node = Node(tmp_path, held_bytes=256 * 1024)
    node.producer.auto = False
    node.start()
    for i in range(400):
        node.journal.write("kubelet", f"{i:05d}" + "x" * 10_000)
    node.run(5)
    assert node.journals._held() < 256 * 1024 + (1 << 20) + 20_000
    node.producer.auto = True
    node.producer.ack()
    node.run(5)
    assert len(node.logs()["kubelet"]) == 400
    node.stop()


def test_a_refused_chunk_is_cut_smaller_and_named_if_that_fails(node: Node) -> None:
    def refuse(event, value):
        large = isinstance(event, Chunk) and event.raw_length > 9500
        return Rejected("too large") if large else None

    node.producer.refuse = refuse
    for i in range(30):
        node.journal.write("kubelet", f"{i:02d}" + "x" * (12000 if i == 20 else 500))
    node.start()
    node.run(20)
    (file,) = node.files().values()
    (gap,) = file.gaps
    assert gap.reason == REFUSED
    assert 12_000 < gap.stop - gap.start < 12_200
    sent = b"".join(raw for _, raw in sorted(file.ranges))
    found = [json.loads(line)["msg"][:2] for line in sent.splitlines()]
    assert found == [f"{i:02d}" for i in range(30) if i != 20]
    node.stop()


def test_stop_sends_what_is_held(node: Node) -> None:
    node.start()
    node.journal.write("kubelet", "one")
    node.journals.step(node.clock.monotonic())
    node.journal.write("kubelet", "two")
    node.journals.step(node.clock.monotonic())  # within the linger of the first chunk
    assert node.logs() == {"kubelet": ["one"]}
    node.stop()
    assert node.logs() == {"kubelet": ["one", "two"]}


def test_the_very_first_start(tmp_path: Path) -> None:
    journal = ToyJournal()
    node = Node(tmp_path, journal=journal)
    node.start()
    node.run()
    assert node.source.cursor == ""
    node.stop()
    journal.write("kubelet", "x")
    node.start()
    node.run()
    node.stop()
    assert node.logs() == {"kubelet": ["x"]}
