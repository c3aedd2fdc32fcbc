"""`incidents` and `explain` over what the real fold concluded, stored in the real engine."""

import io
import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from pipeline.base.errors import UsageError
from pipeline.console.incident_text import story
from pipeline.console.incidents import run_explain, run_incidents
from pipeline.eventlog.blocks import table_block
from pipeline.eventlog.rows import Row, fact_rows
from pipeline.readiness.catalogue import Catalogue
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from pipeline.verdicts import whole_catalogue
from tests.cases.nodes_alive import runtime_does_not_list_pods
from tests.cases.nodes_silent import kubelet_is_frozen
from tests.cases.rig import T0, Rig
from tests.cases.scaling_hpa import its_policy_slows_the_scale_up
from tests.pipeline.store.running import Running

EDGES = (0, 4_000_000_000_000)


@pytest.fixture(scope="module")
def rig() -> Rig:
    """A node whose runtime hangs, with one of its pods."""
    rig = Rig()
    rig.pod(0, "web-0")
    runtime_does_not_list_pods(rig)
    return rig


@pytest.fixture(scope="module")
def slowed() -> Rig:
    """An HPA that its policy slows: a note."""
    rig = Rig()
    its_policy_slows_the_scale_up(rig)
    return rig


@pytest.fixture(scope="module")
def store(
    rig: Rig, slowed: Rig, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClickHouseStore]:
    running = Running(tmp_path_factory.mktemp("store") / "data").start()
    opened = open_store(running.config)
    migrate(opened, running.config)
    other = Rig()
    kubelet_is_frozen(other)
    rows: list[Row] = []
    for offset, fact in enumerate([*rig.facts, *other.facts, *slowed.facts]):
        rows += fact_rows([fact], offset)
    for table, of_table in groupby(sorted(rows, key=lambda row: row.table), lambda row: row.table):
        block = table_block(list(of_table), cluster="-", partition=0, edges=EDGES)
        opened.insert(table, block, token=table)
    yield opened
    opened.close()
    running.stop()


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return whole_catalogue()


def listed(store: ClickHouseStore, **chosen: Any) -> list[dict[str, Any]]:
    out = io.StringIO()
    options: dict[str, Any] = {"node": None, "since_ns": 0, "only_open": False} | chosen
    run_incidents(store, out, as_json=True, **options)
    found: list[dict[str, Any]] = json.loads(out.getvalue())
    return found


def explained(store: ClickHouseStore, catalogue: Catalogue, *about: str) -> str:
    out = io.StringIO()
    run_explain(store, out, about=about, catalogue=catalogue, as_json=False)
    return out.getvalue()


def test_the_latest_version_is_listed(store: ClickHouseStore) -> None:
    found = listed(store)
    assert [i["cause"] for i in found] == ["pleg.runtime-hang", "node.kubelet-down"]
    hang = found[0]
    assert (hang["entity"], hang["confidence"]) == ("node/node-a", "certain")
    assert T0 < hang["opened_at"] <= hang["detected_at"]
    assert hang["closed_at"] is None
    assert "shop/web-0" in hang["affected"]
    quotes = " ".join(e["quote"] for e in hang["evidence"] if e["role"] == "proof")
    assert "GenericPLEG: Unable to retrieve pods" in quotes


def test_choices(store: ClickHouseStore) -> None:
    assert len(listed(store, node="node-a")) == 2
    assert listed(store, node="node-b") == []
    assert len(listed(store, only_open=True)) == 2
    assert len(listed(store, since_ns=(T0 + 10_000_000) * 1_000_000)) == 2, "open is still open"


def test_notes_are_no_incidents_and_can_be_explained(
    store: ClickHouseStore, catalogue: Catalogue, slowed: Rig
) -> None:
    note = slowed.versions()[-1]
    assert note["severity"] == "note"
    assert note["id"] not in {i["id"] for i in listed(store)}
    text = explained(store, catalogue, note["id"])
    assert "cause hpa.rate-limited because ScaleUpLimit" in text


def test_table(store: ClickHouseStore) -> None:
    out = io.StringIO()
    run_incidents(store, out, node=None, since_ns=0, only_open=False, as_json=False)
    assert "pleg.runtime-hang" in out.getvalue()
    empty = io.StringIO()
    run_incidents(store, empty, node="x", since_ns=0, only_open=False, as_json=False)
    assert empty.getvalue() == "no incidents\n"


def test_the_whole_story(store: ClickHouseStore, catalogue: Catalogue) -> None:
    incident = listed(store)[0]["id"]
    text = explained(store, catalogue, incident[:6])
    parts = ("Why", "Other causes", "Save first", "What to do, safest first", "How it went",
             "Affected: 1")  # fmt: skip
    places = [text.index(f"\n{part}") for part in parts]
    assert places == sorted(places)
    assert "pleg.stuck-pod: no sign of it" in text or "pleg.stuck-pod: " in text
    assert "kubeledger.state" in text
    assert "open: pleg.umbrella (possible)" in text, "what was thought first is kept"
    assert text == explained(store, catalogue, incident)


def test_pods_and_nodes_are_found(store: ClickHouseStore, catalogue: Catalogue) -> None:
    assert "pleg.runtime-hang" in explained(store, catalogue, "pod", "shop/web-0")
    both = explained(store, catalogue, "node", "node-a")
    assert "pleg.runtime-hang" in both
    assert "node.kubelet-down" in both


def test_for_programs_with_every_version(store: ClickHouseStore, catalogue: Catalogue) -> None:
    out = io.StringIO()
    incident = listed(store)[0]["id"]
    run_explain(store, out, about=(incident,), catalogue=catalogue, as_json=True)
    document = json.loads(out.getvalue())
    assert document["versions"][0]["verdict"] == "pleg.umbrella"
    assert document["versions"][-1]["verdict"] == "pleg.runtime-hang"


def test_texts_of_the_cluster_do_not_drive_the_terminal(rig: Rig, catalogue: Catalogue) -> None:
    body = rig.versions()[-1] | {"affected": ["shop/\x1b[2Jweb"]}
    body["evidence"] = [{**evidence, "quote": "\x1b]0;x\x07"} for evidence in body["evidence"]]
    text = "\n".join(story(body, [], catalogue))
    assert "\x1b" not in text
    assert "\\x1b[2Jweb" in text


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (("ffffffffffff0",), "kubeledger incidents"),
        (("",), "beginning of 3 ids"),
        (("pod", "web-0"), "NAMESPACE/NAME"),
        (("pod", "shop/none"), "no incident of pod shop/none"),
        (("deployment", "x"), "explain takes"),
        (("a", "b", "c"), "explain takes"),
    ],
)
def test_wrong_words(
    store: ClickHouseStore, catalogue: Catalogue, about: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        explained(store, catalogue, *about)
