"""`precheck` over rows as the state processor writes them, in the real engine."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.console.precheck import run_precheck
from pipeline.contract.state import DELETED, MODIFIED, OBJECT, OK, SAMPLE, StateEvent
from pipeline.eventlog.blocks import table_block
from pipeline.eventlog.rows import row_of
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from tests.pipeline.store.running import Running


def node(name: str, ready: str, kind: str = MODIFIED) -> dict[str, Any]:
    meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": "5"}
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    document = {"metadata": meta, "status": status}
    return {"resource": "nodes", "type": kind, "object": document}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    running = Running(tmp_path_factory.mktemp("store") / "data").start()
    opened = open_store(running.config)
    migrate(opened, running.config)
    yield opened
    opened.close()
    running.stop()


def put(store: ClickHouseStore, *events: StateEvent) -> None:
    for offset, event in enumerate(events):
        row = row_of(event, offset)
        assert row is not None
        block = table_block([row], cluster="-", partition=0, edges=(0, 1 << 42))
        store.insert(row.table, block, token=f"{event.id}")


def checked(store: ClickHouseStore) -> tuple[bool, dict[str, dict[str, Any]]]:
    out = io.StringIO()
    fine = run_precheck(store, out, as_json=True)
    return fine, {finding["check"]: finding for finding in json.loads(out.getvalue())}


def test_the_last_versions_count(store: ClickHouseStore) -> None:
    now = int(store.query("SELECT toUnixTimestamp64Milli(now64(3))").rows[0][0])
    values = {"fs": {"size": 100, "free": 3}}
    sample = {"node": "a", "part": "stats", "asked_ms": now, "ms": 1, "outcome": OK,
              "values": values}  # fmt: skip
    put(
        store,
        StateEvent(OBJECT, now, "watch", "1", node("a", "False")),
        StateEvent(OBJECT, now, "watch", "2", node("gone", "False")),
        StateEvent(OBJECT, now, "watch", "3", node("a", "True")),
        StateEvent(OBJECT, now, "watch", "4", node("gone", "False", DELETED)),
        StateEvent(SAMPLE, now, "a", "5", sample),
    )
    fine, findings = checked(store)
    assert findings["nodes-ready"]["outcome"] == "pass"
    assert findings["disks"]["about"] == ["a fs 97 %"]
    assert findings["etcd"]["outcome"] == "unknown"
    assert not fine
    out = io.StringIO()
    assert not run_precheck(store, out, as_json=False)
    assert "precheck: 1 to mend" in out.getvalue()
