"""Every query of every panel, variable and annotation runs on the real engine over recorded data,
and none is empty on the recording that it exists for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from dashboards.catalogue import DASHBOARDS
from dashboards.model import Dashboard
from pipeline.console.page.macros import ALL, Asked, expand
from pipeline.store.clickhouse import ClickHouseStore
from tests.dashboards.recorded import THIS_MACHINE, Recorded

LOG_TREE = "healthy"  # the log tree was written on its node
PLEG, BROKEN, STUCK = "pleg-hang-runtime", "pods-gone-wrong", "namespace-stuck"
HPA, KARPENTER, CRON = "hpa-missing-request", "karpenter-scale-up", "cronjob-scale"
DRAIN, BLOCKED = "hpa-and-drain", "karpenter-reasons"

# The recording that a dashboard exists for, and those of single panels.
FOR: Mapping[str, str] = {
    "fleet": LOG_TREE, "logs": LOG_TREE, "pipeline": LOG_TREE, "nodes": PLEG, "incident": PLEG,
    "workload": BROKEN, "storage": BROKEN, "control": STUCK, "elasticity": KARPENTER,
}  # fmt: skip
FOR_PANEL: Mapping[tuple[str, str], str] = {
    ("fleet", "Alerts"): PLEG,
    ("fleet", "Alerts that began"): PLEG,
    ("nodes", "Processes in uninterruptible sleep (D)"): THIS_MACHINE,
    ("nodes", "Pressure stall, 10 s average"): THIS_MACHINE,
    ("nodes", "@Scalings"): HPA,
    ("nodes", "@Rollouts"): HPA,
    ("nodes", "@Incidents"): PLEG,
    ("elasticity", "Pods that wait for a node"): BLOCKED,
    ("elasticity", "What was concluded about scaling"): BLOCKED,
    ("elasticity", "Scaling by schedule: planned, and what became of it"): CRON,
    ("elasticity", "HPAs: current, desired, ready, min, max"): HPA,
    ("elasticity", "HPAs: limited, and by what"): HPA,
    ("elasticity", "Drains"): DRAIN,
    ("workload", "Log lines by level"): LOG_TREE,
    ("control", "Kubelet certificate, least left"): THIS_MACHINE,
    ("control", "Certificates of kubelets"): THIS_MACHINE,
}


@dataclass(frozen=True)
class Question:
    """One query of a dashboard."""

    dashboard: str
    name: str
    sql: str

    def __str__(self) -> str:
        return f"{self.dashboard}-{self.name}"

    @property
    def recording(self) -> str:
        found = FOR_PANEL.get((self.dashboard, self.name))
        if found is None and self.name.startswith("@"):  # annotations are the same everywhere
            found = FOR_PANEL.get(("nodes", self.name))
        return found or FOR[self.dashboard]


def questions(name: str, dashboard: Dashboard) -> Iterator[Question]:
    for variable in dashboard.templating.list_:
        if variable.type == "query":
            yield Question(name, f"${variable.name}", variable.definition)
    for annotation in dashboard.annotations.list_:
        yield Question(name, f"@{annotation.name}", annotation.target.raw_sql)
    for panel in dashboard.panels:
        for target in panel.targets:
            yield Question(name, panel.title, target.raw_sql)


QUESTIONS = [q for name, make in DASHBOARDS.items() for q in questions(name, make())]


def asked(store: ClickHouseStore, cluster: str) -> Asked:
    """The whole time of a recording, all variables at their defaults, the gravest incident and a
    line in the middle of a file."""
    table = "logs" if cluster == LOG_TREE else "node_samples"
    where = "1" if table == "logs" else "cluster = {cluster:String}"
    span = store.query(
        f"SELECT toUnixTimestamp64Milli(toDateTime64(min(ts), 3)), toUnixTimestamp64Milli("
        f"toDateTime64(max(ts), 3)) FROM {table} WHERE {where}",
        {} if table == "logs" else {"cluster": cluster},
    ).rows[0]
    episode = store.query(
        "SELECT id FROM episodes FINAL WHERE cluster = {cluster:String} AND status != 'merged' "
        "ORDER BY length(affected) DESC LIMIT 1",
        {"cluster": cluster},
    ).rows
    line = store.query("SELECT toString(file_id), toString(off) FROM logs LIMIT 1 OFFSET 900").rows
    return Asked(
        span[0],
        span[1] + 2000,
        15_000,
        {
            "cluster": [cluster],
            "episode": [row[0] for row in episode],
            "file": [line[0][0]],
            "offset": [line[0][1]],
            "node": [ALL],
        },
    )


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_query_answers_on_its_recording(recorded: Recorded, question: Question) -> None:
    store = recorded.store
    sql, parameters = expand(question.sql, asked(store, question.recording))
    answer = store.query(sql, parameters)
    assert answer.rows, f"nothing on {question.recording}"
    assert any(value is not None for row in answer.rows for value in row)


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_query_is_bounded(question: Question) -> None:
    """By the time of the dashboard, or of the incident that it is about; what is not, is small: the
    store's own tables, and the latest incidents."""
    own = question.sql.count("system.") + question.sql.count("${episode")
    assert own or "$__" in question.sql.replace("$__conditionalAll", ""), question.sql
    assert "${" not in question.sql or ":sqlstring}" in question.sql


def test_the_table_of_recordings_names_panels_that_exist() -> None:
    known = {(q.dashboard, q.name) for q in QUESTIONS}
    assert set(FOR_PANEL) <= known
