"""The drain certificate: a node's files through the real log processor into the real engine."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import UsageError
from pipeline.console.certificate import Certificate, print_certificate, read_certificate
from pipeline.contract.facts import DRAIN
from pipeline.contract.record import (
    FileEnd,
    FileOpen,
    Gap,
    Owner,
    PodVersion,
    Source,
    encode_headers,
    encode_pod,
)
from pipeline.contract.topics import LOGS, PODS
from pipeline.eventlog.blocks import table_block
from pipeline.eventlog.rows import Row, fact_rows
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from tests.pipeline.elasticity.rig import Rig
from tests.pipeline.stages.feed import chunks_of
from tests.pipeline.store.running import Running, changed
from tests.pipeline.test_logs_embedded import NOW_NS, Pipe

LINE = b"2026-11-23T05:35:03.371688788Z stdout F a line\n"
DATA = LINE * 40
EDGES = (0, 4_000_000_000_000)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    running = Running(tmp_path_factory.mktemp("certificate") / "data").start()
    config = changed(running.config, database="certificate")
    opened = open_store(config)
    migrate(opened, config)
    yield opened
    opened.close()
    running.stop()


class Node:
    """Sends what a node's collector would."""

    def __init__(self, store: ClickHouseStore, name: str, first: int) -> None:
        self.pipe, self.name, self.next = Pipe(store), name, first

    def file(
        self, pod: str, *, stored: int = 40, size: int | None = 40, exact: bool = True
    ) -> Source:
        """`stored` lines are sent; its end says `size` lines, None: it has no end."""
        self.next += 1
        source = Source(self.name, "shop", pod, f"{self.name}-{pod}", "main", 0, f"/x/{pod}/0.log")
        self._send(source, FileOpen(source, self.next, "open", "cri", 1))
        for event, raw in chunks_of(
            DATA[: stored * len(LINE)], [], file_id=self.next, source=source
        ):
            self._send(source, event, raw)
        if size is not None:
            count = size * len(LINE)
            self._send(source, FileEnd(source, self.next, "end", count, "deleted", exact, 2))
        return source

    def gap(self, source: Source, start: int, stop: int) -> None:
        span = (start * len(LINE), stop * len(LINE))
        self._send(source, Gap(source, self.next, "gap", *span, "rotated-away", True, 2))

    def daemon(self, pod: str) -> None:
        version = PodVersion(f"{self.name}-{pod}", pod, "shop", self.name, 5,
                             owners=(Owner("DaemonSet", "agent", "u"),))  # fmt: skip
        self.pipe.send(PODS, version.uid.encode(), encode_pod(version))

    def stored(self) -> None:
        processor = self.pipe.processor()
        self.pipe.drain(processor)
        for _ in range(20):
            self.pipe.clock.advance(1)
            processor.step(0.1)
        processor.close()

    def _send(self, source: Source, event: Any, raw: bytes = b"") -> None:
        self.pipe.send(LOGS, source.key, raw, encode_headers(event))


def certified(store: ClickHouseStore, node: str) -> Certificate:
    return read_certificate(
        store,
        node=node,
        database="certificate",
        since_ns=0,
        clock=ManualClock(NOW_NS),
        retention_days=14,
        settle_s=0,
        progress=lambda _: None,
    )


def told(store: ClickHouseStore, rig: Rig, token: str) -> None:
    """The drains of a rig into their table."""
    rows: list[Row] = []
    for offset, fact in enumerate(rig.facts):
        rows += [row for row in fact_rows([fact], offset) if row.table == "drains"]
    block = table_block(rows, cluster="-", partition=0, edges=EDGES)
    store.insert("drains", block, token=token)


def drained(name: str, *, removed: bool) -> Rig:
    rig = Rig()
    rig.node(0, name)
    rig.pod(1, "web-0", name)
    rig.node(10, name, cordoned=True)
    rig.pod(20, "web-0", name, evicted=True)
    rig.tick(25)
    rig.pod(30, "web-0", name, deleted=True)
    rig.tick(35)
    if removed:
        rig.node(40, name, deleted=True)
    return rig


def text(found: Certificate) -> str:
    out = io.StringIO()
    print_certificate(found, out, as_json=False)
    return out.getvalue()


def test_a_node_whose_files_are_whole(store: ClickHouseStore) -> None:
    node = Node(store, "whole", 1000)
    node.file("web-0")
    node.daemon("agent-1")
    node.file("agent-1", size=None)
    node.stored()
    told(store, drained("whole", removed=False), "whole")
    found = certified(store, "whole")
    assert found.certified
    assert (found.files, found.stored_bytes) == (2, 2 * len(DATA))
    assert [file.pod for file in found.lasting] == ["agent-1"]
    shown = text(found)
    assert ", 1 evicted" in shown
    assert "shop/agent-1 main 0.log: still written, 1.9 kB stored" in shown
    assert shown.endswith("2 files of whole, 3.8 kB stored: every byte is in the store\n")


def test_the_same_node_once_it_is_removed(store: ClickHouseStore) -> None:
    """What its DaemonSet wrote at the end is not known any more."""
    node = Node(store, "gone", 2000)
    node.file("web-0")
    node.daemon("agent-2")
    node.file("agent-2", size=None)
    node.stored()
    told(store, drained("gone", removed=True), "gone")
    found = certified(store, "gone")
    (missing,) = found.missing
    assert (missing.pod, missing.bytes, missing.reason) == (
        "agent-2", None, "its end was not recorded"
    )  # fmt: skip
    assert "1 evicted, removed 20" in text(found)


def test_what_is_missing_is_named(store: ClickHouseStore) -> None:
    """One file is short, one has a gap, one was gone unseen, one has no end."""
    node = Node(store, "short", 3000)
    node.file("short-0", stored=38)
    source = node.file("gap-0", stored=35)
    node.gap(source, 35, 40)
    node.file("gone-0", exact=False)
    node.file("open-0", size=None)
    node.file("fine-0")
    node.stored()
    found = certified(store, "short")
    assert not found.certified
    assert {(m.pod, m.bytes, m.reason) for m in found.missing} == {
        ("short-0", 2 * len(LINE), "not stored"),
        ("gap-0", 5 * len(LINE), "rotated-away"),
        ("gone-0", None, "deleted before it was looked at again"),
        ("open-0", None, "its end was not recorded"),
    }
    document = json.loads(json.dumps(found.document()))
    assert (document["certified"], document["files"], document["drain"]) == (False, 5, None)
    shown = text(found)
    assert "no drain of this node was recorded" in shown
    assert "shop/short-0 main 0.log: 94 B, not stored" in shown
    assert "NOT every byte is in the store" in shown


def test_other_nodes_do_not_count(store: ClickHouseStore) -> None:
    good = Node(store, "good", 4000)
    good.file("web-0")
    good.stored()
    bad = Node(store, "bad", 5000)
    bad.file("web-1", stored=1)
    bad.stored()
    assert certified(store, "good").certified
    assert not certified(store, "bad").certified


def test_an_unknown_node_is_said(store: ClickHouseStore) -> None:
    with pytest.raises(UsageError, match="the ledger has no file of node 'nowhere'"):
        certified(store, "nowhere")


def test_a_blocked_drain_is_told(store: ClickHouseStore) -> None:
    node = Node(store, "blocked", 6000)
    node.file("web-0")
    node.stored()
    rig = Rig()
    rig.node(0, "blocked")
    rig.pod(1, "web-0", "blocked")
    rig.pod(1, "db-0", "blocked", app="db")
    rig.budget(2, "db", 0, matchLabels={"app": "db"})
    rig.node(10, "blocked", cordoned=True)
    rig.pod(20, "web-0", "blocked", evicted=True)
    rig.ticks(25, 60)
    told(store, rig, "blocked")
    assert [fact.kind for fact in rig.facts].count(DRAIN) >= 3
    shown = text(certified(store, "blocked"))
    assert "shop/db-0 blocked still by shop/db" in shown
    assert replace(certified(store, "blocked"), missing=()).certified
