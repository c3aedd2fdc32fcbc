"""Node readiness: which node is not ready, since when, and what the kubelet, its relist and the
runtime say about it."""

from dashboards.assemble import assemble, cell, query_variable, to
from dashboards.model import Dashboard
from dashboards.names import (
    CLUSTER,
    EPISODES,
    FACTS,
    IN_RANGE,
    NODE_SAMPLES,
    SIGNALS,
    STEP,
    chosen,
    increase,
)
from dashboards.panels import Column, Draft, stat, state_timeline, table, timeseries

_NODES = chosen("node")
_NODE_OF = "replaceOne(entity, 'node/', '')"
_SAMPLES = f"FROM {NODE_SAMPLES} WHERE {IN_RANGE} AND {CLUSTER} AND {_NODES}"
_ANY = ((None, "green"), (1, "red"))


def states(machine: str, of: str = "entity", where: str = "1") -> str:
    """States of one kind of machine over time: those that hold when the range begins, and each
    change within it."""
    base = f"FROM {FACTS} WHERE kind = 'transition' AND machine = '{machine}' AND {CLUSTER}"
    return (
        f"SELECT time, series, state FROM (SELECT $__fromTime_ms AS time, {of} AS series, "
        f"argMax(to_state, (ts, ko)) AS state {base} AND ts < $__fromTime_ms "
        f"AND ts > $__fromTime_ms - INTERVAL 30 DAY AND {where} GROUP BY series "
        f"UNION ALL SELECT ts AS time, {of} AS series, to_state AS state {base} AND {IN_RANGE} "
        f"AND {where}) ORDER BY time LIMIT 5000"
    )


def dashboard() -> Dashboard:
    nodes = query_variable(
        "node",
        f"SELECT node FROM {NODE_SAMPLES} WHERE {IN_RANGE} AND {CLUSTER} GROUP BY node "
        f"UNION DISTINCT SELECT {_NODE_OF} AS node FROM {FACTS} WHERE kind = 'transition' "
        f"AND machine = 'node' AND {CLUSTER} AND ts <= $__toTime_ms "
        "AND ts > $__fromTime_ms - INTERVAL 30 DAY GROUP BY node ORDER BY node",
    )
    return assemble(
        "nodes",
        "Node readiness",
        "Which node is not ready, since when, and what kubelet, relist and runtime say.",
        variables=[nodes],
        rows=[
            _numbers(),
            [
                state_timeline(
                    "Node state",
                    states("node", _NODE_OF, chosen("node", _NODE_OF)),
                    height=5,
                    description="As the node's own conditions say. The panels below know earlier.",
                )
            ],
            [_episodes()],
            _relist(),
            _runtime(),
            _host(),
            _answers(),
        ],
    )


def _numbers() -> list[Draft]:
    last = (
        f"(SELECT {_NODE_OF} AS node, argMax(to_state, (ts, ko)) AS state FROM {FACTS} "
        f"WHERE kind = 'transition' AND machine = 'node' AND {CLUSTER} AND ts <= $__toTime_ms "
        "AND ts > $__fromTime_ms - INTERVAL 30 DAY GROUP BY node)"
    )
    now = "opened_at <= $__toTime_ms AND (closed_at IS NULL OR closed_at > $__toTime_ms)"
    return [
        stat(
            "Nodes sampled", f"SELECT uniqExact(node) AS value {_SAMPLES}", width=6
        ),
        stat(
            "Not ready or unknown",
            f"SELECT countIf(state IN ('NotReady', 'Unknown')) AS value FROM {last} "
            f"WHERE {_NODES}",
            width=6, steps=_ANY,
        ),
        stat(
            "Oldest relist",
            "SELECT max(age) AS value FROM (SELECT node, argMax(pleg_age_s, ts) AS age "
            f"{_SAMPLES} AND part = 'metrics' AND pleg_age_s IS NOT NULL GROUP BY node)",
            unit="s", width=6, steps=((None, "green"), (60, "orange"), (180, "red")), decimals=0,
            description="The kubelet says NotReady when its last relist is 3 minutes old.",
        ),
        stat(
            "Incidents open",
            f"SELECT count() AS value FROM {EPISODES} FINAL WHERE {CLUSTER} "
            f"AND status != 'merged' AND {now}",
            width=6, steps=_ANY,
        ),
    ]  # fmt: skip


def _episodes() -> Draft:
    return table(
        "Incidents with cause and evidence",
        "SELECT opened_at AS began, entity, title, cause, confidence, status, "
        "dateDiff('second', opened_at, ifNull(closed_at, $__toTime_ms)) AS lasted, "
        "length(affected) AS affects, arrayStringConcat(arrayMap(e -> JSONExtractString(e, "
        "'quote'), arrayFilter(e -> JSONExtractString(e, 'role') IN ('proof', 'required'), "
        "JSONExtractArrayRaw(evidence))), '; ') AS evidence_quotes, id "
        f"FROM {EPISODES} FINAL WHERE {CLUSTER} AND status != 'merged' "
        "AND opened_at <= $__toTime_ms AND (closed_at IS NULL OR closed_at >= $__fromTime_ms) "
        "ORDER BY status = 'open' DESC, opened_at DESC LIMIT 200",
        {
            "began": Column(width=180),
            "title": Column(link=to("incident", "cluster", episode=cell("id"))),
            "confidence": Column(width=100, states=True),
            "status": Column(width=80, states=True),
            "lasted": Column(unit="s", width=90),
            "affects": Column(width=70),
            "id": Column(hidden=True),
        },
        height=7,
        description="A title leads to the incident on one page.",
    )


def _relist() -> list[Draft]:
    return [
        timeseries(
            "Age of the last relist (PLEG)",
            f"SELECT {STEP} AS time, node AS series, max(pleg_age_s) AS age {_SAMPLES} "
            "AND part = 'metrics' AND pleg_age_s IS NOT NULL GROUP BY time, series ORDER BY time",
            unit="s", limit=180, interval="5s",
            description="kubelet_pleg_last_seen_seconds, seen from the sample's time. A hung "
            "relist shows here, and never in the duration's histogram.",
        ),
        timeseries(
            "Relists per second",
            f"SELECT {STEP} AS time, node AS series, sum(relists) / sum(seconds) AS rate FROM ("
            f"SELECT ts, node, {increase('total', 'node')} AS relists, "
            f"{increase('at', 'node')} AS seconds FROM (SELECT ts, node, "
            "assumeNotNull(relist_count) AS total, toUnixTimestamp64Milli(ts) / 1000 AS at "
            f"{_SAMPLES} AND part = 'metrics' AND relist_count IS NOT NULL)) WHERE seconds > 0 "
            "GROUP BY time, series ORDER BY time",
            interval="15s",
            description="About one with the generic PLEG; zero is a kubelet that waits for its "
            "runtime.",
        ),
    ]  # fmt: skip


def _runtime() -> list[Draft]:
    series = "node, operation"
    steps = (
        f"SELECT {STEP} AS step, operation, {increase('count', series)} AS calls, "
        f"{increase('failed', series)} AS errors, {increase('took', series)} AS seconds "
        "FROM (SELECT ts, node, op.1 AS operation, JSONExtractFloat(op.2, 1) AS count, "
        "JSONExtractFloat(op.2, 2) AS failed, JSONExtractFloat(op.2, 3) AS took FROM ("
        "SELECT ts, node, arrayJoin(JSONExtractKeysAndValuesRaw(`values`, 'ops')) AS op "
        f"{_SAMPLES} AND part = 'metrics' AND outcome = 'ok'))"
    )
    return [
        timeseries(
            "Runtime operations: mean duration",
            "SELECT step AS time, operation AS series, sum(seconds) / sum(calls) AS duration FROM "
            f"({steps}) WHERE calls > 0 GROUP BY time, series ORDER BY time",
            unit="s", interval="15s",
        ),
        timeseries(
            "Runtime operations: errors",
            "SELECT step AS time, operation AS series, sum(errors) AS errors FROM "
            f"({steps}) GROUP BY time, series HAVING errors > 0 ORDER BY time",
            style="bars", interval="15s",
        ),
    ]  # fmt: skip


def _host() -> list[Draft]:
    return [
        timeseries(
            "Processes in uninterruptible sleep (D)",
            f"SELECT {STEP} AS time, node AS series, max(dstate_count) AS processes {_SAMPLES} "
            "AND part = 'host' AND dstate_count IS NOT NULL GROUP BY time, series ORDER BY time",
            width=8, interval="15s",
        ),
        timeseries(
            "Pressure stall, 10 s average",
            f"SELECT {STEP} AS time, max(psi_cpu_some) AS cpu, max(psi_memory_some) AS memory, "
            f"max(psi_io_some) AS io {_SAMPLES} AND part = 'host' AND psi_io_some IS NOT NULL "
            "GROUP BY time ORDER BY time",
            unit="percent", width=8, interval="15s",
            description="The worst of the chosen nodes.",
        ),
        timeseries(
            "Pods: running and desired",
            f"SELECT {STEP} AS time, sum(running) AS running, sum(desired) AS desired FROM "
            f"(SELECT ts, node, running_pods AS running, desired_pods AS desired {_SAMPLES} "
            "AND part = 'metrics' AND running_pods IS NOT NULL "
            f"ORDER BY ts DESC LIMIT 1 BY {STEP}, node) GROUP BY time ORDER BY time",
            width=8, interval="15s",
        ),
    ]  # fmt: skip


def _answers() -> list[Draft]:
    return [
        timeseries(
            "Questions that were not answered",
            f"SELECT {STEP} AS time, concat(part, ' ', outcome) AS series, count() AS samples "
            f"{_SAMPLES} AND outcome NOT IN ('ok', 'answers') GROUP BY time, series ORDER BY time",
            style="bars", width=8, height=9, interval="15s",
            description="What the kubelet, the host or the runtime's socket were asked and did "
            "not answer well. A time-out is a fact.",
        ),
        table(
            "Affected pods",
            "SELECT arrayJoin(affected) AS pod, any(entity) AS because_of, any(title) AS incident, "
            f"min(opened_at) AS since, any(id) AS id FROM {EPISODES} FINAL WHERE {CLUSTER} "
            "AND status != 'merged' AND opened_at <= $__toTime_ms "
            "AND (closed_at IS NULL OR closed_at >= $__fromTime_ms) "
            "GROUP BY pod ORDER BY since, pod LIMIT 500",
            {
                "incident": Column(link=to("incident", "cluster", episode=cell("id"))),
                "since": Column(width=180), "id": Column(hidden=True),
            },
            width=8,
        ),
        table(
            "Signals in the logs of the nodes",
            "SELECT pattern, node, count() AS lines, max(ts) AS last, argMax(line, ts) AS line "
            f"FROM {SIGNALS} WHERE {IN_RANGE} AND {CLUSTER} AND {_NODES} "
            "GROUP BY pattern, node ORDER BY lines DESC LIMIT 200",
            {"lines": Column(width=70), "last": Column(width=180)},
            width=8,
        ),
    ]  # fmt: skip
