"""`explain pod` of pods that wait, over a recorded cluster stored in the real engine."""

import io
import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from pipeline.base.errors import UsageError
from pipeline.base.fold import Folds
from pipeline.base.seen import Seen
from pipeline.console.pending_pod import run_explain_pod
from pipeline.contract.state import OBJECT, StateEvent
from pipeline.eventlog.blocks import table_block
from pipeline.eventlog.rows import Row, fact_rows, row_of
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from pipeline.verdicts import open_diagnosis, whole_catalogue
from tests.cases.scaling import ca_yaml, inventory
from tests.journeys.recordings import events
from tests.pipeline.store.running import Running

EDGES = (0, 4_000_000_000_000)


def config_maps() -> list[StateEvent]:
    """ACK's beside cluster-autoscaler's: both have `data.status`."""
    t = list(events("karpenter-reasons"))[-1].t
    meta = {"name": "cluster-autoscaler-status", "namespace": "kube-system", "uid": "u-ca"}
    status = {
        "kind": "ConfigMap",
        "metadata": meta,
        "data": {"status": ca_yaml(scale_up="Backoff")},
    }
    gone = inventory("np4f", ("ecs.g7.large", "cn-b", "WithoutStock"))
    return [
        StateEvent(OBJECT, t, "watch", f"{resource}:1", {
            "resource": resource, "type": "ADDED", "object": found})
        for resource, found in (("inventories", gone), ("configmaps", status))
    ]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    running = Running(tmp_path_factory.mktemp("store") / "data").start()
    opened = open_store(running.config)
    migrate(opened, running.config)
    fold = Folds({"readiness": open_diagnosis()}, seen=Seen())
    rows = list[Row]()
    for offset, event in enumerate([*events("karpenter-reasons"), *config_maps()]):
        rows += [row for row in [row_of(event, offset)] if row is not None]
        rows += fact_rows(fold.apply(event, offset), offset)
    for table, of_table in groupby(sorted(rows, key=lambda row: row.table), lambda row: row.table):
        block = table_block(list(of_table), cluster="-", partition=0, edges=EDGES)
        opened.insert(table, block, token=table)
    yield opened
    opened.close()
    running.stop()


def explained(store: ClickHouseStore, pod: str, *, as_json: bool = False) -> str:
    out = io.StringIO()
    run_explain_pod(store, out, pod=pod, catalogue=whole_catalogue(), as_json=as_json)
    return out.getvalue()


def test_the_chain_of_a_pending_pod(store: ClickHouseStore) -> None:
    text = explained(store, "el-r/notolerate-7db58759cd-q9ckk")
    steps = ("waits for a node", "scheduler", "autoscaler", "limits", "incidents")
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    assert "taint: Failed to schedule pod, did not tolerate taint" in text
    assert "NodePool wide: cpu" in text
    assert "What to do, safest first" in text, "the incident's own story follows"


def test_each_config_map_is_read_as_what_it_is(store: ClickHouseStore) -> None:
    chain = json.loads(explained(store, "el-r/arm-6749fb77-9b8p2", as_json=True))["chain"]
    said = {(hop["kind"], hop["source"]): hop["says"] for hop in chain}
    assert "ecs.g7.large in cn-b" in said["out-of-stock", "np4f-inventory-status"]
    assert "left alone after a failure" in said["backoff", "cluster-autoscaler-status"]


def test_for_programs(store: ClickHouseStore) -> None:
    document: dict[str, Any] = json.loads(explained(store, "el-r/arm-6749fb77-9b8p2", as_json=True))
    said = {(hop["step"], hop["kind"]) for hop in document["chain"]}
    assert {("scheduler", "affinity"), ("autoscaler", "architecture"), ("limits", "limit")} <= said
    assert [i["verdict"] for i in document["incidents"]] == ["ca.not-triggered"]
    assert document["incidents"][0]["versions"]


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        ("web-0", "is not NAMESPACE/NAME"),
        ("shop/", "is not NAMESPACE/NAME"),
        ("shop/nobody", "nothing to explain"),
        ("el-r/wrongselector-65749c8bb-hvrhz", "nothing to explain"),
    ],
)
def test_nothing_to_explain(store: ClickHouseStore, pod: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        explained(store, pod)
