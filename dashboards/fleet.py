"""Fleet: what alerts, is everything collected, how fresh is it, what is missing, what goes next."""

from dashboards.assemble import assemble, cell, query_variable, to
from dashboards.model import Dashboard
from dashboards.names import (
    ALERTED,
    ALERTS,
    EPISODES,
    FIRES,
    GAPS,
    IN_RANGE,
    LOGS,
    LOGS_1M,
    MINUTES,
    NODE_SAMPLES,
    SECONDS,
    STANDING,
    chosen,
)
from dashboards.panels import Column, Draft, stat, table, timeseries

# Age is asked of the newest lines only: those of the last five minutes of the range.
_NEWEST = "ts > $__toTime_ms - INTERVAL 5 MINUTE AND ts <= $__toTime_ms"
_LATE = f"ts > $__toTime_ms - INTERVAL 15 MINUTE AND {IN_RANGE}"
_NODES = chosen("node")
_FRESH = ((None, "green"), (5, "orange"), (30, "red"))
_ANY = ((None, "green"), (1, "red"))

# What the kubelet keeps of a container's log, or its defaults (containerLogMaxSize 10Mi,
# containerLogMaxFiles 5: k8s.io/kubernetes pkg/kubelet/apis/config/v1beta1/defaults.go).
_BUDGET = (
    "SELECT node, argMax(JSONExtractUInt(`values`, 'log_max_bytes'), ts) AS log_max_bytes, "
    f"argMax(JSONExtractUInt(`values`, 'log_max_files'), ts) AS log_max_files FROM {NODE_SAMPLES} "
    "WHERE part = 'configz' AND outcome = 'ok' AND ts <= $__toTime_ms "
    "AND ts > $__fromTime_ms - INTERVAL 7 DAY GROUP BY node"
)
_PEAKS = (
    "SELECT node, namespace, workload, container, max(bytes) / 60 AS peak FROM ("
    "SELECT minute, node, namespace, workload, container, sum(bytes) AS bytes "
    f"FROM {LOGS_1M} WHERE {MINUTES} AND {_NODES} AND namespace != '' "
    "GROUP BY minute, node, namespace, workload, container) "
    "GROUP BY node, namespace, workload, container ORDER BY peak DESC LIMIT 50"
)


def dashboard() -> Dashboard:
    nodes = query_variable(
        "node", f"SELECT node FROM {LOGS_1M} WHERE {MINUTES} GROUP BY node ORDER BY node"
    )
    return assemble(
        "fleet",
        "Fleet",
        "Is everything collected, how fresh is it, what is missing, what would be lost next.",
        variables=[nodes],
        with_clusters=False,
        rows=[_numbers(), _alerts(), _volume(), _freshness(), _tables(), _missing()],
    )


def _numbers() -> list[Draft]:
    return [
        stat(
            "Lines per second",
            f"SELECT sum(rows) / ({SECONDS}) AS value FROM {LOGS_1M} WHERE {MINUTES} AND {_NODES}",
            unit="short", decimals=1, width=3,
        ),
        stat(
            "Raw log per second",
            f"SELECT sum(bytes) / ({SECONDS}) AS value FROM {LOGS_1M} WHERE {MINUTES} AND {_NODES}",
            unit="Bps", width=3,
        ),
        stat(
            "Written to queryable, p99",
            "SELECT quantile(0.99)(toUnixTimestamp64Milli(stored_at) "
            f"- toUnixTimestamp64Milli(ts)) / 1000 AS value FROM {LOGS} WHERE {_NEWEST} "
            f"AND {_NODES}",
            unit="s", steps=_FRESH,
            description="Lines of the last five minutes of the time range.",
        ),
        stat(
            "Bytes missing",
            f"SELECT sum(stop - start) AS value FROM {GAPS} WHERE {IN_RANGE} AND {_NODES}",
            unit="bytes", steps=_ANY,
            description="Bytes that are gone and named: see Gaps for each and its reason.",
        ),
        stat(
            "Nodes that fell silent",
            "SELECT countIf(last < toDateTime($__toTime_ms) - INTERVAL 5 MINUTE) AS value FROM ("
            f"SELECT node, max(minute) AS last FROM {LOGS_1M} WHERE {MINUTES} AND {_NODES} "
            "GROUP BY node)",
            steps=_ANY,
            description="They logged within the time range, and not in its last five minutes.",
        ),
        stat(
            "Incidents open",
            f"SELECT countIf(status = 'open') AS value FROM {EPISODES} FINAL "
            "WHERE opened_at <= $__toTime_ms",
            steps=_ANY, width=3,
        ),
        stat(
            "Alerts firing",
            f"SELECT countIf({FIRES}) AS value FROM {ALERTS} FINAL WHERE {ALERTED}",
            steps=_ANY, width=3,
            description="At the end of the time range; what an incident holds back counts, too.",
        ),
    ]  # fmt: skip


def _alerts() -> list[Draft]:
    return [
        table(
            "Alerts",
            f"SELECT starts_at AS began, {STANDING} AS state, severity, summary, cause, "
            "dateDiff('second', starts_at, least(ifNull(ends_at, $__toTime_ms), $__toTime_ms)) "
            f"AS lasted, rule, cluster, episode FROM {ALERTS} FINAL WHERE {ALERTED} "
            "ORDER BY state, began DESC LIMIT 300",
            {
                "began": Column(width=180),
                "state": Column(width=80, states=True),
                "severity": Column(width=80, states=True),
                "summary": Column(
                    link=to("incident", cluster=cell("cluster"), episode=cell("episode"))
                ),
                "cause": Column(width=190),
                "lasted": Column(unit="s", width=90),
                "episode": Column(hidden=True),
            },
            height=6,
            description="What fired in the time range, what fires first. A summary leads to its "
            "incident, where there is one; the runbook is named like the rule.",
        ),
    ]  # fmt: skip


def _volume() -> list[Draft]:
    return [
        timeseries(
            "Alerts that began",
            "SELECT $__timeInterval_ms(starts_at) AS time, rule AS series, count() AS alerts "
            f"FROM {ALERTS} FINAL WHERE {ALERTED} AND starts_at >= $__fromTime_ms "
            "GROUP BY time, series ORDER BY time",
            style="bars", width=8, interval="1m",
        ),
        timeseries(
            "Volume by namespace",
            "SELECT $__timeInterval(minute) AS time, "
            "if(namespace = '', '(node)', namespace) AS series, "
            f"sum(bytes) / $__interval_s AS bytes FROM {LOGS_1M} WHERE {MINUTES} AND {_NODES} "
            "GROUP BY time, series ORDER BY time",
            unit="Bps", style="area", width=8, interval="1m",
        ),
        timeseries(
            "Lines by node",
            "SELECT $__timeInterval(minute) AS time, node AS series, sum(rows) / $__interval_s "
            f"AS lines FROM {LOGS_1M} WHERE {MINUTES} AND {_NODES} AND node IN (SELECT node FROM "
            f"{LOGS_1M} WHERE {MINUTES} GROUP BY node ORDER BY sum(rows) DESC LIMIT 20) "
            "GROUP BY time, series ORDER BY time",
            style="area", width=8, interval="1m",
            description="Lines per second of the twenty nodes that write most.",
        ),
    ]  # fmt: skip


def _freshness() -> list[Draft]:
    return [
        timeseries(
            "Written to queryable",
            f"SELECT $__timeInterval_ms(ts) AS time, quantile(0.5)(age) AS p50, "
            "quantile(0.99)(age) AS p99 FROM (SELECT ts, (toUnixTimestamp64Milli(stored_at) "
            f"- toUnixTimestamp64Milli(ts)) / 1000 AS age FROM {LOGS} WHERE {_LATE} "
            f"AND {_NODES}) "
            "GROUP BY time ORDER BY time",
            unit="s",
            description="From the line's own time until it could be queried; the last 15 minutes "
            "of the time range, since no roll-up has it.",
        ),
        timeseries(
            "Missing bytes by reason",
            f"SELECT {'$__timeInterval_ms(ts)'} AS time, reason AS series, sum(stop - start) AS "
            f"bytes FROM {GAPS} WHERE {IN_RANGE} AND {_NODES} GROUP BY time, series ORDER BY time",
            unit="bytes", style="bars",
        ),
    ]  # fmt: skip


def _tables() -> list[Draft]:
    return [
        table(
            "Nodes: last minute with logs",
            "SELECT node, max(minute) AS last, "
            "dateDiff('second', max(minute), toDateTime($__toTime_ms)) AS age, "
            "sum(rows) AS lines, sum(bytes) AS raw, uniqExact(namespace, workload, container) AS "
            f"containers FROM {LOGS_1M} WHERE {MINUTES} AND {_NODES} GROUP BY node "
            "ORDER BY last, node LIMIT 500",
            {
                "age": Column(unit="s", width=90),
                "lines": Column(unit="short", width=90),
                "raw": Column(unit="bytes", width=90),
                "node": Column(link=to("nodes", node=cell("node"))),
            },
            width=10,
        ),
        table(
            "Time to loss, if collecting stopped",
            "SELECT budget / peak AS runway, peak, budget, namespace, workload, container, node "
            "FROM (SELECT peak, namespace, workload, container, node, "
            "if(log_max_bytes = 0, 10485760, log_max_bytes) "
            "* if(log_max_files = 0, 5, log_max_files) AS budget "
            f"FROM ({_PEAKS}) AS peaks LEFT JOIN ({_BUDGET}) AS budgets USING (node)) "
            "ORDER BY runway LIMIT 50",
            {
                "runway": Column(unit="s", width=100),
                "peak": Column(unit="Bps", width=100),
                "budget": Column(unit="bytes", width=100),
                "workload": Column(
                    link=to("logs", namespace=cell("namespace"), workload=cell("workload"))
                ),
            },
            width=14,
            description="How long each container's rotated logs would last at its busiest minute: "
            "the kubelet's budget (its own configuration, or the defaults) over that rate.",
        ),
    ]  # fmt: skip


def _missing() -> list[Draft]:
    return [
        table(
            "Gaps",
            "SELECT ts, reason, stop - start AS missing, namespace, pod, container, node, path, "
            f"start, stop, exact FROM {GAPS} WHERE {IN_RANGE} AND {_NODES} "
            "ORDER BY ts DESC LIMIT 500",
            {
                "missing": Column(unit="bytes", width=100),
                "reason": Column(width=120),
                "pod": Column(link=to("logs", namespace=cell("namespace"), pod=cell("pod"))),
            },
            height=8,
            description="Every byte that was not stored is named here, with the reason. The "
            "proof that there are no others: kubeledger audit.",
        )
    ]
