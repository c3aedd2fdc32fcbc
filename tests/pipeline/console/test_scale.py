"""`scale` and `explain scale` over what the real fold concluded, stored in the real engine."""

import io
import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from pipeline.base.errors import UsageError
from pipeline.console.pending_pod import run_explain_pod
from pipeline.console.scale import run_explain_scale, run_percentiles, run_scale
from pipeline.eventlog.blocks import table_block
from pipeline.eventlog.ledger import StoreLedger
from pipeline.eventlog.rows import Row, fact_rows
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from pipeline.verdicts import whole_catalogue
from tests.journeys.recordings import replayed
from tests.pipeline.store.running import Running

EDGES = (0, 4_000_000_000_000)
WEB = "deployment/el-a/web"
RECORDINGS = ("hpa-scale-up", "karpenter-scale-up")


def rows() -> list[Row]:
    """Of the recordings, one behind the other on the log."""
    found: list[Row] = []
    for number, name in enumerate(RECORDINGS):
        for offset, fact in enumerate(replayed(name).facts):
            found += fact_rows([fact], number * 1000 + offset)
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    running = Running(tmp_path_factory.mktemp("store") / "data").start()
    opened = open_store(running.config)
    migrate(opened, running.config)
    by_table = sorted(rows(), key=lambda row: row.table)
    for table, of_table in groupby(by_table, lambda row: row.table):
        block = table_block(list(of_table), cluster="-", partition=0, edges=EDGES)
        opened.insert(table, block, token=table)
    yield opened
    opened.close()
    running.stop()


def listed(store: ClickHouseStore, **chosen: Any) -> list[dict[str, Any]]:
    out = io.StringIO()
    options: dict[str, Any] = {"workload": None, "since_ns": 0} | chosen
    run_scale(store, out, as_json=True, **options)
    found: list[dict[str, Any]] = json.loads(out.getvalue())
    return found


def test_the_latest_version_of_each_decision(store: ClickHouseStore) -> None:
    known = [body for name in RECORDINGS for body in replayed(name).document()["scalings"]]
    assert {body["id"]: body["version"] for body in listed(store)} == {
        body["id"]: body["version"] for body in known
    }
    assert [(b["from"], b["to"]) for b in listed(store, workload="web")] == [
        (0, 1), (1, 5), (5, 6), (6, 5), (5, 1)
    ]  # fmt: skip
    assert listed(store, workload=WEB) == listed(store, workload="web")
    late = listed(store, workload="web")[3]["decided_at"]
    assert len(listed(store, workload="web", since_ns=late * 1_000_000)) == 2


def test_the_columns_of_the_tables(store: ClickHouseStore) -> None:
    _, up, *_ = listed(store, workload="web")
    [found] = store.query(
        "SELECT by, who, from_replicas, to_replicas, status, longest, total_ms, pods, ready "
        "FROM scalings FINAL WHERE id = {id:String}",
        {"id": up["id"]},
    ).rows
    assert found == (
        "hpa", "hpa/el-a/web", 1, 5, "done", up["longest"], up["total_ms"], 4, 4
    )  # fmt: skip
    [found] = store.query(
        "SELECT count(), countIf(t_sandbox IS NULL), countIf(seg_sandbox_ms IS NULL), "
        "min(seg_provision_ms) > 15000, max(seg_scheduling_ms) < -5000, any(node_pool), "
        "countIf(t_decided <= t_created AND t_created <= t_scheduled AND t_scheduled < t_ready), "
        "countIf(longest = 'provision' AND by = 'create' AND status = 'ready') "
        "FROM scale_timelines FINAL WHERE namespace = 'el-e' AND by != 'none'"
    ).rows
    assert found == (5, 5, 5, 1, 1, "default", 5, 5)


def test_every_pod_is_there_once(store: ClickHouseStore) -> None:
    [(pods, distinct)] = store.query(
        "SELECT count(), uniqExact(pod_uid) FROM scale_timelines FINAL"
    ).rows
    documents = [replayed(name).document() for name in RECORDINGS]
    caused = sum(len(body["pods"]) for d in documents for body in d["scalings"])
    assert pods == distinct == caused + sum(len(d["not_caused_by_scaling"]) for d in documents)
    result = store.query("SELECT reason FROM scale_timelines FINAL WHERE by = 'none'")
    assert all(reason for (reason,) in result.rows)


def test_the_ledger_knows_the_rows(store: ClickHouseStore) -> None:
    """What a processor asks before it brings rows again."""
    for table in ("scalings", "scale_timelines"):
        stored = StoreLedger(store).stored(table, 0, 0, 10_000)
        known = {(row.ko, row.key) for row in rows() if row.table == table}
        assert stored <= known
        assert {key.rpartition(":")[0] for _, key in stored} == {
            key.rpartition(":")[0] for _, key in known
        }


def test_the_table_for_people(store: ClickHouseStore) -> None:
    out = io.StringIO()
    run_scale(store, out, workload="web", since_ns=0, as_json=False)
    said = out.getvalue()
    assert "1 -> 5" in said
    assert "hpa (hpa/el-a/web)" in said
    assert "4/4" in said
    out = io.StringIO()
    run_scale(store, out, workload="nothing", since_ns=0, as_json=False)
    assert out.getvalue() == "no scaling decisions\n"


def test_percentiles_by_workload_and_pool(store: ClickHouseStore) -> None:
    out = io.StringIO()
    run_percentiles(store, out, since_ns=0, as_json=True)
    found = {(body["workload"], body["node_pool"]): body for body in json.loads(out.getvalue())}
    batch = found["deployment/el-e/batch", "default"]
    assert batch["pods"] == 5
    assert batch["segments"]["provision"]["p50"] == pytest.approx(15_144, abs=10)
    assert batch["segments"]["scheduling"] == {"p50": 0, "p95": 0}
    assert batch["segments"]["sandbox"] is None
    web = found[WEB, "-"]
    assert web["pods"] == 6
    assert 0 < web["total"]["p50"] <= web["total"]["p95"]
    out = io.StringIO()
    run_percentiles(store, out, since_ns=0, as_json=False)
    assert "seconds, p50 / p95" in out.getvalue()


def test_one_decision_whole(store: ClickHouseStore) -> None:
    [up] = listed(store, workload="batch")[:1]
    out = io.StringIO()
    run_explain_scale(store, out, scaling=up["id"][:8], as_json=True)
    [known] = [
        b for b in replayed("karpenter-scale-up").document()["scalings"] if b["id"] == up["id"]
    ]
    found = json.loads(out.getvalue())
    assert found.pop("incidents") == []
    assert {p["uid"]: p for p in found.pop("pods")} == {p["uid"]: p for p in known.pop("pods")}
    assert found == known
    out = io.StringIO()
    run_explain_scale(store, out, scaling=up["id"], as_json=False)
    said = out.getvalue()
    assert "deployment/el-e/batch 0 -> 5 by create" in said
    assert "T3 autoscaler reacted" in said
    assert "Event Nominated, record" in said
    assert "T7 sandbox, network       unknown" in said
    assert "scheduling -5.9 s" in said


def told(store: ClickHouseStore, pod: str, *, as_json: bool = False) -> str:
    out = io.StringIO()
    run_explain_pod(store, out, pod=pod, catalogue=whole_catalogue(), as_json=as_json)
    return out.getvalue()


def test_a_pod_that_was_slow(store: ClickHouseStore) -> None:
    [up] = [b for b in replayed("karpenter-scale-up").document()["scalings"]
            if (b["workload"], b["to"]) == ("deployment/el-e/batch", 5)]  # fmt: skip
    pod = up["pods"][0]
    name = f"{pod['namespace']}/{pod['name']}"
    timeline = json.loads(told(store, name, as_json=True))["timeline"]
    assert timeline["scaling"]["id"] == up["id"]
    assert {key: timeline[key] for key in pod} == pod
    text = told(store, name)
    first, second, *_ = text.splitlines()
    assert first.endswith(f"the longest is provision, {pod['segments']['provision'] / 1000:.1f} s")
    assert "caused by deployment/el-e/batch 0 -> 5 by create" in second
    assert re.search(r"T4 node created +\+\d+\.\d+ s \(-\d+ ms\) +.*, record \d+", text)
    assert "T7 sandbox, network       unknown" in text


def test_a_pod_that_no_decision_caused(store: ClickHouseStore) -> None:
    [pod, *_] = replayed("karpenter-scale-up").document()["not_caused_by_scaling"]
    name = f"{pod['namespace']}/{pod['name']}"
    assert json.loads(told(store, name, as_json=True))["timeline"]["scaling"] is None
    assert f"not caused by scaling: {pod['reason']}" in told(store, name)


def test_what_is_no_decision(store: ClickHouseStore) -> None:
    with pytest.raises(UsageError, match="kubeledger scale` lists them"):
        run_explain_scale(store, io.StringIO(), scaling="zzz", as_json=False)
    with pytest.raises(UsageError, match="is the beginning of"):
        run_explain_scale(store, io.StringIO(), scaling="", as_json=False)
