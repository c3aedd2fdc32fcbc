"""Rules that ask the store: each fires on a scene and is silent on another, on the real engine with
rows that the real processors wrote; and the same rules as Grafana would ask them."""

import re
from collections.abc import Iterator

import pytest

from alerts.grafana_sql import query_of
from alerts.model import Rule
from alerts.questions import answer
from tests.alerts.rig import shipped
from tests.alerts.scenes import WRITTEN, Scenes
from tests.pipeline.store.running import Running

ASKING = [rule for rule in shipped() if rule.sql is not None]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenes]:
    folder = tmp_path_factory.mktemp("scenes")
    running = Running(folder / "data").start()
    yield Scenes(running.config, folder)
    running.stop()


def rows(scenes: Scenes, rule: Rule, words: str) -> list[dict]:
    """`words` as in the rule's file."""
    name, _, later = words.removeprefix("store:").partition("@")
    name, _, given = name.partition("?")
    parameters = {p.split("=")[0]: float(p.split("=")[1]) for p in given.split("&") if p}
    with scenes.scene(name) as (store, end):
        step = 30_000
        times = [end + int(float(later) * 1000)] if later else range(end - 400_000, end + 1, step)
        if name in WRITTEN:
            times = [end]
        found: list[dict] = []
        for at in times:
            found += answer(store, rule, parameters, at)
        return found


@pytest.mark.parametrize("rule", ASKING, ids=lambda rule: rule.name)
def test_rule_fires_and_is_silent(scenes: Scenes, rule: Rule) -> None:
    for words in rule.tests.fires:
        found = rows(scenes, rule, words)
        assert found, words
        assert all(isinstance(row["value"], int | float) for row in found)
    for words in rule.tests.silent:
        assert rows(scenes, rule, words) == [], words


@pytest.mark.parametrize(
    "rule", [rule for rule in shipped() if not rule.always], ids=lambda rule: rule.name
)
def test_as_grafana_asks_it(scenes: Scenes, rule: Rule) -> None:
    """The macro filled in, it runs, and gives the rule's labels and a number."""
    words = next((w for w in rule.tests.fires if w.startswith("store:")), "store:kubelet-stopped")
    name = re.split("[@?]", words.removeprefix("store:"))[0]
    with scenes.scene(name) as (store, end):
        sql = query_of(rule, {}).replace("$__toTime_ms", f"fromUnixTimestamp64Milli({end})")
        result = store.query(sql)
    assert result.names == [*rule.labels, "value"]


def test_grafana_fires_on_the_incident(scenes: Scenes) -> None:
    rule = next(rule for rule in shipped() if rule.name == "NodeNotReady")
    with scenes.scene("kubelet-stopped") as (store, end):
        sql = query_of(rule, {}).replace("$__toTime_ms", f"fromUnixTimestamp64Milli({end})")
        ((node, incident, value),) = store.query(sql).rows
    assert (node, value) == ("node-a", 1.0)
    assert re.fullmatch("[0-9a-f]{12}", incident)
