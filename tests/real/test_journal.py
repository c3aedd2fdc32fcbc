"""The real journalctl on real journal files: what the collector relies on, and the whole way from
an entry to a row and a signal, with kills in the middle."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from collectors.journal.config import JournalConfig
from collectors.journal.entries import Entry
from collectors.journal.journald import Journald
from pipeline.base.clock import SystemClock
from pipeline.base.ports import free_port
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import TopicPartition
from pipeline.contract.state import decode_state
from pipeline.contract.topics import STATE
from tests.collectors.journal.rig import Node, messages
from tests.journeys.command import query, run, serving, up, wait_for
from tests.real.journal import JournalFile, need_journal

pytestmark = pytest.mark.real
BOOT = "0123456789abcdef0123456789abcdef"
NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def _journal() -> None:
    need_journal()


def entry(program: str, message: str | bytes, **other: str) -> dict[str, str | bytes]:
    number = next(NUMBERS)
    found: dict[str, str | bytes] = {
        "__REALTIME_TIMESTAMP": str(time.time_ns() // 1000),
        "__MONOTONIC_TIMESTAMP": str(1_000_000 + number * 1000),
        "_BOOT_ID": BOOT,
        "_MACHINE_ID": BOOT,
        "PRIORITY": "6",
        "MESSAGE": message,
    }
    if program == "kernel":
        return found | {"_TRANSPORT": "kernel"} | other
    if program == "systemd":
        return found | {"_PID": "1", "_SYSTEMD_UNIT": "init.scope", "UNIT": "x.service"} | other
    return found | {"_SYSTEMD_UNIT": f"{program}.service", "_PID": "7"} | other


def read(source: Journald, count: int) -> list[str]:
    found: list[str] = []
    deadline = time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        for item in source.read(1 << 20):
            found += messages(item.data) if isinstance(item, Entry) else ["LOST"]
        time.sleep(0.02)
    return found


@contextmanager
def reader(folder: Path, cursor: str = "") -> Iterator[Journald]:
    config = JournalConfig(source="journald", directory=folder)
    source = Journald(config, telemetry=RecordingTelemetry(), clock=SystemClock())
    source.begin(cursor)
    try:
        yield source
    finally:
        source.close()


def test_entries_as_the_real_one_shows_them(tmp_path: Path) -> None:
    long = "long " * 4000  # above the 4,096 bytes that JSON output leaves out unless asked
    odd = [b"not text \xff\xfe", "two\nlines", long, "", "é"]
    with JournalFile(tmp_path / "a.journal") as journal, reader(tmp_path) as source:
        journal.write(entry("kubelet", "one"))
        journal.write(entry("cron", "nobody asks for it"))
        journal.write(entry("kernel", "two"))
        assert read(source, 2) == ["one", "two"]
        for message in odd:
            journal.write(entry("systemd", message))
        assert read(source, len(odd)) == [
            m.decode("utf-8", "surrogateescape") if isinstance(m, bytes) else m for m in odd
        ]


def test_lives_of_a_collector(tmp_path: Path) -> None:
    folder, written = tmp_path / "journal", []
    node = Node(tmp_path / "state", directory=folder)

    def source() -> Journald:
        return Journald(node.config.journal, telemetry=node.telemetry, clock=SystemClock())

    def work(until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not until() and time.monotonic() < deadline:
            node.run(0.1)
            time.sleep(0.02)

    with JournalFile(folder / "a.journal") as journal:
        for life in range(4):
            for i in range(20):
                journal.write(entry("kubelet", f"{life}.{i}"))
                written.append(f"{life}.{i}")
            node.start(source())
            work(lambda: node.logs().get("kubelet") == written)
            if life == 2:
                os.kill(node.source._child.pid, signal.SIGKILL)
                journal.write(entry("kubelet", "after the child's end"))
                written.append("after the child's end")
                work(lambda: node.logs().get("kubelet") == written)
            if life % 2:
                node.source.close()
                node.kill()
            else:
                node.stop()
    assert node.logs() == {"kubelet": written}
    assert len(node.files()) == 1
    (folder / "a.journal").unlink()  # vacuumed, all of it
    with JournalFile(folder / "b.journal") as journal:
        journal.write(entry("kubelet", "after"))
        node.start(source())
        work(lambda: len(node.logs()["kubelet"]) > len(written))
        work(lambda: any(file.ends for file in node.files().values()))
        node.stop()
    first, second = node.files().values()
    assert [end.exact for end in first.ends] == [False]
    assert [gap.reason for gap in first.gaps] == ["rotated-away"]
    assert messages(second.content()) == ["after"]


def test_from_an_entry_to_a_row_and_a_signal(tmp_path: Path) -> None:
    """Through the commands, the collector killed with -9 twice on the way."""
    folder, data = tmp_path / "journal", tmp_path / "data"
    pods = tmp_path / "pods"
    pods.mkdir()
    config = {
        "node": "node-a",
        "roots": [str(pods)],
        "state_dir": str(tmp_path / "state"),
        "broker": {"url": f"sqlite:{data / 'bus.db'}"},
        "health": f"127.0.0.1:{free_port()}",
        "journal": {"source": "journald", "directory": str(folder)},
    }
    path = tmp_path / "collect.yaml"
    path.write_text(yaml.safe_dump(config))
    hang = (
        'E1123 05:51:17.076138   16481 generic.go:455] "PLEG: Write status" err="rpc error: code ='
        ' DeadlineExceeded desc = context deadline exceeded" pod="shop/stuckpod1"'
    )
    words = [sys.executable, "-m", "kubeledger", "collect", "--config", str(path)]
    with JournalFile(folder / "a.journal") as journal, up("--logs", pods, "--data", data):
        wait_for(lambda: serving(data), "the store")
        for life in range(3):
            for i in range(300):
                journal.write(entry("kubelet", f"line {life}.{i}"))
            with (tmp_path / f"collect-{life}.log").open("wb") as log:
                collector = subprocess.Popen(words, stdout=log, stderr=log)
            try:
                wanted = 300 * life + 100  # the kill comes while entries are on their way
                wait_for(lambda n=wanted: rows(data, "kubelet") >= n, f"rows of life {life}")
            finally:
                if life < 2:
                    collector.kill()
                    collector.wait()
        journal.write(entry("kubelet", hang))
        journal.write(entry("kernel", "nfs: server 10.0.0.7 not responding, still trying",
                            PRIORITY="4"))  # fmt: skip
        wait_for(lambda: rows(data, "kernel") == 1 and rows(data, "kubelet") == 901, "the last")
        collector.terminate()
        assert collector.wait(30) == 0
        document = json.loads(run("audit", "--data", data, "--json"))
        assert (document["ok"], document["duplicates"], document["unexplained"]) == (True, 0, 0)
        assert document["gap_bytes"] == 0
        distinct = query(data, "SELECT uniqExact(body) AS n FROM logs WHERE container = 'kubelet'")
        assert int(distinct[0]["n"]) == 901
        (kernel,) = query(
            data, "SELECT level, body, node, namespace FROM logs WHERE container = 'kernel'"
        )
        assert kernel == {
            "level": "warn", "body": "nfs: server 10.0.0.7 not responding, still trying",
            "node": "node-a", "namespace": "",
        }  # fmt: skip
        found = signals(data)
    assert found == {
        ("kubelet.pleg-write-status", "shop/stuckpod1"),
        ("kernel.nfs-not-responding", "/"),
    }


def rows(data: Path, container: str) -> int:
    sql = f"SELECT count() AS n FROM logs WHERE container = '{container}'"
    return int(query(data, sql)[0]["n"])


def signals(data: Path) -> set[tuple[str, str]]:
    broker = open_broker(BrokerConfig(url=f"sqlite:{data / 'bus.db'}"))
    reader, tp = broker.reader(), TopicPartition(STATE, 0)
    reader.assign([tp])
    found: set[tuple[str, str]] = set()
    while reader.position(tp) < reader.end_offset(tp):
        for record in reader.poll(1.0):
            event = decode_state(record.value or b"")
            if event.kind == "signal":
                body = event.body
                found.add((body["pattern"], f"{body['namespace']}/{body['pod']}"))
    reader.close()
    broker.close()
    return found
