"""The main job on a real kubelet's log tree, every line compared with an independent reading.

More trees than the committed one: KUBELEDGER_TREES=DIR[:DIR…], each in the layout of
/var/log/pods.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.audit import audit
from pipeline.base.clock import SystemClock
from pipeline.console.embedded import EmbeddedPipeline, Inputs
from pipeline.console.up import count_rows, drain
from pipeline.store.clickhouse import open_store
from tests.journeys.command import wait_for
from tests.journeys.reference import Line, raw_bytes, read_tree
from tests.real.kafka import KafkaNode, start_kafka

RECORDED = Path(__file__).resolve().parents[1] / "recordings" / "healthy"
EXTRA = [Path(p) for p in os.environ.get("KUBELEDGER_TREES", "").split(":") if p]
_LINES = """
SELECT pod_uid, container, restart, toString(stream), toUnixTimestamp64Nano(ts) + ts_shift,
       hex(body)
FROM logs
"""


def wait_until_read(pipeline: EmbeddedPipeline) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + 120
    quiet = 0
    while quiet < 3:
        assert clock.monotonic() < deadline, "the collector did not finish"
        pipeline.check()
        quiet = quiet + 1 if pipeline.waiting_bytes() == 0 else 0
        clock.sleep(0.2)


def stored_lines(pipeline: EmbeddedPipeline) -> Counter[Line]:
    store = open_store(pipeline.store)
    try:
        return Counter(
            (uid, container, restart, stream, ns, bytes.fromhex(body))
            for uid, container, restart, stream, ns, body in store.query(_LINES).rows
        )
    finally:
        store.close()


def stored_bytes(pipeline: EmbeddedPipeline) -> int:
    store = open_store(pipeline.store)
    try:
        return count_rows(store)[1]
    finally:
        store.close()


@pytest.fixture
def kafka_of_its_own(tmp_path: Path, kafka: KafkaNode) -> Iterator[KafkaNode]:
    """Topics have fixed names, and recordings share pods: each tree wants an empty bus."""
    node = start_kafka(tmp_path / "kafka")  # `kafka` has said whether this machine can
    yield node
    node.stop()


def check_tree(tree: Path, pods: Path | None, data: Path, bus: str | None) -> None:
    inputs = Inputs(roots=(tree,), node="node-a", pod_files=(pods,) if pods else ())
    clock = SystemClock()
    with EmbeddedPipeline(data, inputs, clock=clock, bus=bus) as pipeline:
        wait_until_read(pipeline)
        expected = read_tree(tree)
        assert sum(expected.values()) > 0
        # A last line without a newline is held for some seconds: its end might still come.
        whole = raw_bytes(tree)
        wait_for(lambda: stored_bytes(pipeline) >= whole, "all bytes")
        assert drain(pipeline, clock=clock, timeout_s=120)
        stored = stored_lines(pipeline)
        assert list((expected - stored).items())[:3] == [], "lines that are missing"
        assert list((stored - expected).items())[:3] == [], "lines that nobody wrote, or twice"
        store = open_store(pipeline.store)
        try:
            account = audit(store, database=pipeline.store.database, since_ns=0, clock=clock)
            assert account.bad == ()
            assert account.summary()["stored_bytes"] == whole
            if pods:
                found = store.query("SELECT DISTINCT workload FROM logs WHERE pod LIKE 'web-%'")
                assert found.rows == [("Deployment/web",)]
        finally:
            store.close()


def test_embedded_bus(tmp_path: Path) -> None:
    tree = shutil.copytree(RECORDED / "container-logs", tmp_path / "pods")
    check_tree(tree, RECORDED / "pods.json", tmp_path / "data", None)


@pytest.mark.real
def test_real_kafka(tmp_path: Path, kafka: KafkaNode) -> None:
    tree = shutil.copytree(RECORDED / "container-logs", tmp_path / "pods")
    bus = f"kafka://{kafka.bootstrap}"
    check_tree(tree, RECORDED / "pods.json", tmp_path / "data", bus)


if EXTRA:

    @pytest.mark.parametrize("tree", EXTRA, ids=str)
    def test_further_trees(tree: Path, tmp_path: Path) -> None:
        check_tree(tree, None, tmp_path / "data", None)

    @pytest.mark.real
    @pytest.mark.parametrize("tree", EXTRA, ids=str)
    def test_further_trees_through_real_kafka(
        tree: Path, tmp_path: Path, kafka_of_its_own: KafkaNode
    ) -> None:
        check_tree(tree, None, tmp_path / "data", f"kafka://{kafka_of_its_own.bootstrap}")
