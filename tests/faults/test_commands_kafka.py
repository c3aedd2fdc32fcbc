"""The broker is away for a while: what is written meanwhile, even into files that are deleted
before it is back, is stored once it is."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.audit import audit
from pipeline.base.clock import SystemClock
from pipeline.console.embedded import EmbeddedPipeline, Inputs
from pipeline.console.up import drain
from pipeline.store.clickhouse import open_store
from tests.journeys.command import SECOND, run, wait_for
from tests.real.kafka import KafkaNode, RealPartMissing, start_kafka

UID = "0a1b2c3d-0000-4000-8000-{:012d}"
AWAY_S = 8.0


@pytest.fixture
def node(tmp_path: Path) -> KafkaNode:
    """A broker of our own: it will be killed."""
    try:
        return start_kafka(tmp_path / "kafka")
    except RealPartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must not skip the real parts: {missing}")
        pytest.skip(str(missing))


def write(root: Path, pod: int, first: int, many: int) -> Path:
    folder = root / f"shop_web-{pod}_{UID.format(pod)}" / "main"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "0.log").open("a") as out:
        for n in range(first, first + many):
            out.write(f"{SECOND}.{n:09d}Z stdout F pod {pod} line {n}\n")
    return folder


@pytest.mark.real
def test_broker_away(tmp_path: Path, node: KafkaNode) -> None:
    root, data, clock = tmp_path / "pods", tmp_path / "data", SystemClock()
    doomed = write(root, 1, 0, 500)
    write(root, 2, 0, 500)
    inputs = Inputs(roots=(root,), node="n1")
    try:
        with EmbeddedPipeline(data, inputs, clock=clock, bus=node.url) as pipeline:
            wait_for(lambda: pipeline.check() == [] and rows(pipeline) == 1000, "the first lines")
            node.kill()
            write(root, 1, 500, 500)
            write(root, 2, 500, 500)
            until = clock.monotonic() + AWAY_S
            while clock.monotonic() < until:
                assert pipeline.check() == [], "nobody gives up"
                clock.sleep(0.2)
            shutil.rmtree(doomed.parent)
            node.restart()
            wait_for(lambda: pipeline.check() == [] and rows(pipeline) == 2000, "all lines", 90)
            assert drain(pipeline, clock=clock, timeout_s=30)
            store = open_store(pipeline.store)
            account = audit(store, database="kubeledger", since_ns=0, clock=clock, settle_s=5)
            store.close()
    finally:
        node.stop()
    assert account.bad == ()
    assert account.summary()["gap_bytes"] == 0
    assert json.loads(run("audit", "--data", data, "--json"))["rows"] == 2000


def rows(pipeline: EmbeddedPipeline) -> int:
    store = open_store(pipeline.store)
    try:
        return int(store.query("SELECT count() FROM logs").rows[0][0])
    finally:
        store.close()
