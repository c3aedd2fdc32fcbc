"""What the fold of capacity concludes, as tables of the real engine; and what-if from `objects`."""

import io
import json
from collections.abc import Iterator
from itertools import groupby

import pytest

from pipeline.console.hpa_changes import Changes
from pipeline.console.whatif import run_whatif, stored_versions
from pipeline.contract.facts import CAPACITY, DRAIN
from pipeline.contract.state import OBJECT
from pipeline.eventlog.blocks import table_block
from pipeline.eventlog.ledger import StoreLedger
from pipeline.eventlog.rows import Row, fact_rows, row_of
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from tests.journeys.recordings import events, replayed
from tests.pipeline.elasticity.rig import Rig, ms
from tests.pipeline.store.running import Running

EDGES = (0, 4_000_000_000_000)
GI = 2**30


def conclusions() -> Rig:
    rig = Rig()
    rig.tick(0)
    rig.node(1, "n1", labels={"agentpool": "a"}, ready="Unknown")
    rig.pod(2, "web-0", "n1")
    rig.hpa(3, 6, 6, limited="TooManyReplicas")
    rig.tick(60)
    rig.deployment(70, 4)
    rig.tick(120)
    return rig


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    running = Running(tmp_path_factory.mktemp("capacity") / "data").start()
    opened = open_store(running.config)
    migrate(opened, running.config)
    facts = [f for f in replayed("hpa-and-drain").facts if f.kind in (CAPACITY, DRAIN)]
    rows: list[Row] = []
    for offset, fact in enumerate([*conclusions().facts, *facts]):
        rows += fact_rows([fact], offset)
    for offset, event in enumerate(events("hpa-scale-up")):
        row = row_of(event, offset) if event.kind == OBJECT else None
        rows += [row] if row is not None else []
    for table, found in groupby(sorted(rows, key=lambda row: row.table), lambda row: row.table):
        block = table_block(list(found), cluster="prod", partition=0, edges=EDGES)
        opened.insert(table, block, token=table)
    yield opened
    opened.close()
    running.stop()


def test_capacity(store: ClickHouseStore) -> None:
    found = store.query(
        "SELECT toUnixTimestamp64Milli(ts), cluster, nodes, nodes_ready, allocatable_cpu_m,"
        " allocatable_memory, usable_cpu_m, requested_cpu_m, requested_memory, pods, pods_pending,"
        " lost_cpu_m, lost_memory, short_lived FROM capacity WHERE pool = 'a'"
    ).rows
    assert found == [
        (ms(60), "prod", 1, 0, 4000, 8 * GI, 0, 500, GI, 1, 0, 4000, 8 * GI, 0)
    ]  # fmt: skip


def test_hpa_minutes(store: ClickHouseStore) -> None:
    found = store.query(
        "SELECT toUnixTimestamp64Milli(ts), target, min, max, current, desired, ready, limited,"
        " limited_reason, maxed_s, reversals FROM hpa_1m"
        " WHERE namespace = 'shop' AND name = 'web' AND max = 6 ORDER BY ts"
    ).rows
    same = ("deployment/shop/web", 1, 6, 6, 6)
    assert found == [
        (ms(60), *same, None, 1, "TooManyReplicas", 57.0, 0),
        (ms(120), *same, 4, 1, "TooManyReplicas", 60.0, 0),
    ]


def test_drains(store: ClickHouseStore) -> None:
    (found,) = store.query(
        "SELECT node, status, evicted, blocked, blocked_by, version,"
        " dateDiff('second', started_at, ended_at) FROM drains FINAL"
    ).rows
    assert found == (
        "node-a", "uncordoned", 9, 1, ["a PodDisruptionBudget that was not recorded"], 5, 64
    )  # fmt: skip


def test_rows_that_are_there_are_recognised(store: ClickHouseStore) -> None:
    """A batch that is brought again with care asks by these keys."""
    ledger = StoreLedger(store)
    rows = [row for n, f in enumerate(conclusions().facts) for row in fact_rows([f], n)]
    for table in ("capacity", "hpa_1m"):
        keys = {(row.ko, row.key) for row in rows if row.table == table}
        assert keys
        assert keys <= ledger.stored(table, 0, 0, len(rows))
    (drain,) = ledger.stored("drains", 0, 0, 10_000)
    assert drain[1].startswith("node-a:")


def test_what_if_from_the_store(store: ClickHouseStore) -> None:
    out = io.StringIO()
    run_whatif(
        lambda namespace, name: stored_versions(store, namespace, name, 0),
        out,
        about="el-a/web",
        changes=Changes(high=3),
        as_json=True,
    )
    document = json.loads(out.getvalue())
    assert document["reproduced"] == {"rescales": 4, "of": 4, "within_s": 0.0}
    assert document["whatif"]["peak"] == 3
    assert document["whatif"]["under_provisioned_s"] > document["recorded"]["under_provisioned_s"]
