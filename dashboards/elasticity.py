"""Elasticity: each scale-up as a timeline whose slowest hop is named, what limits an HPA, what
waits and why, what capacity is lost."""

from dashboards.assemble import assemble, cell, query_variable, to
from dashboards.model import Dashboard
from dashboards.names import (
    CAPACITY,
    CLUSTER,
    DRAINS,
    EPISODES,
    HPA_1M,
    IN_RANGE,
    K8S_EVENTS,
    OBJECTS,
    SCALE_TIMELINES,
    SCALINGS,
    STEP,
    WORKLOAD_OF_POD,
    chosen,
    latest,
)
from dashboards.panels import Column, Draft, segments, stat, table, timeseries

_NAMESPACE = chosen("namespace")
# In the order in which they happen; from cool (decided, scheduled) to warm (pulled, ready).
SEGMENTS = {
    "decision": "dark-purple", "queue": "purple", "provision": "dark-blue", "bringup": "blue",
    "scheduling": "semi-dark-green", "sandbox": "green", "init": "yellow", "pull": "orange",
    "ready": "red",
}  # fmt: skip
_VERDICTS = "match(cause, '^(hpa|ca|cron|cronhpa|karpenter|scale|vpa|keda|vn|quota|elastic)[.-]')"


# Rows of `capacity` and `hpa_1m` hold until the next, which comes within ten minutes.
_HELD = "ts <= $__toTime_ms AND ts > $__fromTime_ms - INTERVAL 11 MINUTE"


def dashboard() -> Dashboard:
    namespaces = query_variable(
        "namespace",
        f"SELECT namespace FROM {OBJECTS} WHERE resource = 'pods' AND {CLUSTER} "
        "AND ts <= $__toTime_ms AND ts > $__fromTime_ms - INTERVAL 7 DAY "
        "GROUP BY namespace ORDER BY namespace",
    )
    return assemble(
        "elasticity",
        "Elasticity",
        "Each scale-up as a timeline whose slowest hop is named, what limits an HPA, what waits "
        "and why, what capacity is lost.",
        variables=[namespaces],
        rows=[
            _numbers(),
            [_timelines()],
            [_scalings()],
            _hpas(),
            _waiting(),
            _capacity(),
            _autoscalers(),
            _nodes(),
            _planned(),
        ],
    )


def _numbers() -> list[Draft]:
    from_scalings = f"FROM {SCALINGS} FINAL WHERE {CLUSTER} AND {IN_RANGE}"
    capacity = (
        f"FROM (SELECT pool, argMax(pods_pending, ts) AS pending, argMax(lost_cpu_m, ts) AS lost "
        f"FROM {CAPACITY} WHERE {CLUSTER} AND {_HELD} GROUP BY pool)"
    )
    return [
        stat("Scalings", f"SELECT count() AS value {from_scalings}", width=5),
        stat(
            "Decision to last pod ready, median",
            f"SELECT quantile(0.5)(total_ms) AS value {from_scalings} AND total_ms IS NOT NULL",
            unit="ms", width=5,
        ),
        stat(
            "Scalings that are stuck",
            f"SELECT countIf(status = 'stuck') AS value {from_scalings}",
            width=4, steps=((None, "green"), (1, "red")),
        ),
        stat(
            "Pods pending", f"SELECT sum(pending) AS value {capacity}", width=5,
            steps=((None, "green"), (1, "orange")),
        ),
        stat(
            "CPU lost to nodes that are not ready",
            f"SELECT sum(lost) / 1000 AS value {capacity}", width=5,
            steps=((None, "green"), (0.001, "red")), decimals=1,
            description="Cores that nodes could offer and, NotReady or cordoned, do not.",
        ),
    ]  # fmt: skip


def _timelines() -> Draft:
    parts = ", ".join(f"ifNull(seg_{name}_ms, 0) AS {name}" for name in SEGMENTS)
    return segments(
        "Pods from decision to ready",
        "SELECT concat(formatDateTime(ifNull(created_at, ts), '%H:%i:%S'), ' ', pod) AS pod_name, "
        f"{parts} "
        f"FROM {SCALE_TIMELINES} FINAL WHERE {CLUSTER} AND {IN_RANGE} AND {_NAMESPACE} "
        "ORDER BY ifNull(total_ms, 0) DESC LIMIT 25",
        SEGMENTS,
        description="The 25 slowest. Where a time was not seen, its segment is missing, not zero.",
    )


def _scalings() -> Draft:
    return table(
        "Scalings",
        "SELECT decided_at AS decided, workload, by, concat(toString(from_replicas), ' → ', "
        "toString(to_replicas)) AS replicas, status, longest, total_ms AS total, "
        f"concat(toString(ready), '/', toString(pods)) AS ready FROM {SCALINGS} FINAL "
        f"WHERE {CLUSTER} AND {IN_RANGE} ORDER BY decided DESC LIMIT 300",
        {
            "decided": Column(width=180), "replicas": Column(width=90),
            "status": Column(width=80, states=True), "total": Column(unit="ms", width=90),
            "ready": Column(width=80),
            "workload": Column(link=to("workload", "cluster", workload="$__all")),
        },
        height=8,
    )  # fmt: skip


def _hpas() -> list[Draft]:
    name = "concat(namespace, '/', name)"
    kinds = (
        ("current", "argMax(current, ts)"), ("desired", "argMax(desired, ts)"),
        ("ready", "argMax(ready, ts)"), ("min", "argMax(min, ts)"), ("max", "argMax(max, ts)"),
    )  # fmt: skip
    pairs = ", ".join(f"('{kind}', toFloat64(ifNull({value}, 0)))" for kind, value in kinds)
    return [
        timeseries(
            "HPAs: current, desired, ready, min, max",
            f"SELECT time, concat(hpa, ' ', pair.1) AS series, pair.2 AS replicas FROM (SELECT "
            f"$__timeInterval_ms(greatest(ts, $__fromTime_ms)) AS time, {name} AS hpa, "
            f"arrayJoin([{pairs}]) AS pair FROM {HPA_1M} WHERE {CLUSTER} AND {_HELD} "
            f"AND {_NAMESPACE} GROUP BY time, hpa) ORDER BY time",
            style="step", width=14, height=10, interval="1m",
        ),
        table(
            "HPAs: limited, and by what",
            f"SELECT {name} AS hpa, argMax(target, ts) AS target, concat(toString(argMax(current, "
            "ts)), ' of ', toString(argMax(min, ts)), '-', toString(argMax(max, ts))) AS replicas, "
            "sum(maxed_s) AS at_max_for, argMaxIf(limited_reason, ts, limited = 1) AS "
            f"limited_by FROM {HPA_1M} WHERE {CLUSTER} AND {_HELD} AND {_NAMESPACE} "
            "GROUP BY hpa ORDER BY at_max_for DESC, hpa LIMIT 200",
            {"at_max_for": Column(unit="s", width=100), "replicas": Column(width=100)},
            width=10, height=10,
            description="At max and limited: more was wanted than the HPA may give.",
        ),
    ]  # fmt: skip


def _waiting() -> list[Draft]:
    condition = (
        "arrayFirst(c -> JSONExtractString(c, 'type') = 'PodScheduled', "
        "JSONExtractArrayRaw(document, 'status', 'conditions'))"
    )
    # "0/31 nodes are available: 1 Insufficient cpu, 30 node(s) had untolerated taint(s). …"
    return [
        timeseries(
            "Pods pending, by pool",
            "SELECT $__timeInterval_ms(greatest(ts, $__fromTime_ms)) AS time, "
            "if(pool IN ('', '-'), '(no pool)', pool) AS series, "
            f"max(pods_pending) AS pods FROM {CAPACITY} WHERE {CLUSTER} AND {_HELD} "
            "GROUP BY time, series ORDER BY time",
            style="step", width=8, interval="1m",
        ),
        timeseries(
            "Refused by the scheduler, by reason",
            f"SELECT {STEP} AS time, arrayJoin(arrayMap(r -> replaceRegexpOne(trim(r), '^[0-9]+ ', "
            "''), splitByString(', ', extract(message, 'available: ([^.;]+)')))) AS series, "
            f"uniqExact(namespace, name) AS pods FROM {K8S_EVENTS} WHERE reason = "
            f"'FailedScheduling' AND {IN_RANGE} AND {CLUSTER} AND {_NAMESPACE} "
            "GROUP BY time, series HAVING series != '' ORDER BY time",
            style="bars", width=8, interval="15s",
        ),
        table(
            "Pods that wait for a node",
            f"SELECT namespace, name AS pod, {WORKLOAD_OF_POD} AS workload, "
            f"JSONExtractString({condition}, 'message') AS message, dateDiff('second', "
            "parseDateTimeBestEffortOrNull(JSONExtractString(document, 'metadata', "
            "'creationTimestamp')), toDateTime($__toTime_ms)) AS waits FROM ("
            + latest("pods", "namespace, name, document", _NAMESPACE)
            + f") WHERE JSONExtractString({condition}, 'status') = 'False' "
            "ORDER BY waits DESC LIMIT 300",
            {"waits": Column(unit="s", width=80), "pod": Column(width=160)},
            width=8, height=8,
        ),
    ]  # fmt: skip


def _totals(**columns: str) -> str:
    """Sums over all pools as time goes by. A pool's row holds until its next, and one comes at
    least every ten minutes; so each row adds what it has more than the one before, and the sum of
    all that up to a time is what holds then."""
    names = list(columns)
    given = ", ".join(f"toFloat64({column}) AS {name}" for name, column in columns.items())
    window = "OVER (PARTITION BY pool ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
    more = ", ".join(f"{name} - lagInFrame({name}, 1, 0) {window} AS more_{name}" for name in names)
    steps = ", ".join(f"sum(more_{name}) AS step_{name}" for name in names)
    sums = ", ".join(
        f"sum(step_{name}) OVER (ORDER BY time ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) "
        f"AS {name}"
        for name in names
    )
    return (
        f"SELECT time, {sums} FROM (SELECT $__timeInterval_ms(at) AS time, {steps} FROM ("
        f"SELECT greatest(ts, $__fromTime_ms) AS at, {more} FROM ("
        f"SELECT ts, pool, {given} FROM {CAPACITY} WHERE {CLUSTER} AND {_HELD})) GROUP BY time) "
        "ORDER BY time"
    )


def _capacity() -> list[Draft]:
    colours = {"usable": "green", "requested": "blue", "lost": "red"}
    return [
        timeseries(
            "CPU: usable, requested, lost (cores)",
            _totals(
                usable="usable_cpu_m / 1000",
                requested="requested_cpu_m / 1000",
                lost="lost_cpu_m / 1000",
            ),
            style="step", width=8, interval="1m", colours=colours,
        ),
        timeseries(
            "Memory: usable, requested, lost",
            _totals(usable="usable_memory", requested="requested_memory", lost="lost_memory"),
            unit="bytes", style="step", width=8, interval="1m", colours=colours,
        ),
        timeseries(
            "Nodes: ready and not",
            _totals(
                ready="nodes_ready", not_ready="nodes - nodes_ready", cordoned="nodes_cordoned"
            ),
            style="step", width=8, interval="1m",
            colours={"ready": "green", "not_ready": "red", "cordoned": "yellow"},
        ),
    ]  # fmt: skip


def _autoscalers() -> list[Draft]:
    return [
        table(
            "What was concluded about scaling",
            "SELECT opened_at AS began, entity, title, cause, status, id "
            f"FROM {EPISODES} FINAL WHERE {CLUSTER} AND status != 'merged' "
            "AND opened_at <= $__toTime_ms AND (closed_at IS NULL OR closed_at >= $__fromTime_ms) "
            f"AND ({_VERDICTS} OR cause IN ('pod.unschedulable', 'workload.create-failed', "
            "'job.failed')) ORDER BY began DESC LIMIT 200",
            {
                "began": Column(width=180), "status": Column(width=70, states=True),
                "title": Column(link=to("incident", "cluster", episode=cell("id"))),
                "id": Column(hidden=True),
            },
            width=12,
        ),
        table(
            "Autoscalers said",
            "SELECT ts AS time, component, reason, concat(lower(kind), '/', name) AS about, "
            f"message FROM {K8S_EVENTS} WHERE {CLUSTER} AND {IN_RANGE} AND (component IN "
            "('cluster-autoscaler', 'karpenter', 'horizontal-pod-autoscaler', "
            "'kubernetes-cronhpa-controller', 'CronHorizontalPodAutoscaler', 'keda-operator', "
            "'vpa-updater', 'goatscaler')) AND kind != 'Node' ORDER BY ts DESC LIMIT 300",
            {
                "time": Column(width=180), "component": Column(width=150),
                "reason": Column(width=150),
            },
            width=12,
        ),
    ]  # fmt: skip


def _nodes() -> list[Draft]:
    pool = "JSONExtractString(document, 'metadata', 'name')"
    condition = "JSONExtractArrayRaw(document, 'status', 'conditions')"
    return [
        table(
            "Node pools of the autoscaler",
            f"SELECT {pool} AS pool, JSONExtractUInt(document, 'status', 'nodes') AS nodes, "
            "JSONExtractString(document, 'spec', 'limits', 'cpu') AS cpu_limit, "
            "JSONExtractString(document, 'status', 'resources', 'cpu') AS cpu, "
            "arrayStringConcat(arrayMap(c -> concat(JSONExtractString(c, 'type'), '=', "
            f"JSONExtractString(c, 'status')), {condition}), ', ') AS conditions FROM ("
            + latest("nodepools", "document") + ") ORDER BY pool LIMIT 100",
            {"nodes": Column(width=70), "cpu": Column(width=70), "cpu_limit": Column(width=90)},
            width=12, height=6,
        ),
        table(
            "Drains",
            "SELECT started_at AS began, node, status, evicted, blocked, "
            "arrayStringConcat(blocked_by, ', ') AS blocked_by, dateDiff('second', started_at, "
            f"ifNull(ended_at, $__toTime_ms)) AS lasted FROM {DRAINS} FINAL WHERE {CLUSTER} "
            "AND started_at <= $__toTime_ms AND (ended_at IS NULL OR ended_at >= $__fromTime_ms) "
            "ORDER BY began DESC LIMIT 100",
            {
                "began": Column(width=180), "status": Column(width=80, states=True),
                "lasted": Column(unit="s", width=90), "evicted": Column(width=70),
                "blocked": Column(width=70),
            },
            width=12, height=6,
        ),
    ]  # fmt: skip


def _planned() -> list[Draft]:
    return [
        table(
            "Scaling by schedule: planned, and what became of it",
            "SELECT namespace, name AS schedule_object, resource, "
            "JSONExtractString(document, 'spec', 'schedule') AS schedule, "
            "JSONExtractBool(document, 'spec', 'suspend') AS suspended, "
            "JSONExtractString(document, 'status', 'lastScheduleTime') AS last_run, "
            "JSONExtractString(document, 'status', 'lastSuccessfulTime') AS last_success, "
            "if(runs.2 = 0, '', concat(toString(runs.2), ' failed of ', toString(runs.1))) AS jobs "
            "FROM (SELECT o.namespace AS namespace, o.name AS name, o.resource AS resource, "
            "o.document AS document, (ifNull(j.jobs, 0), ifNull(j.failed, 0)) AS runs FROM ("
            + latest("cronjobs", "namespace, name, document, 'cronjobs' AS resource")
            + " UNION ALL "
            + latest(
                "cronhorizontalpodautoscalers.autoscaling.alibabacloud.com",
                "namespace, name, document, 'cronhpa' AS resource",
            )
            + ") AS o LEFT JOIN (SELECT namespace, JSONExtractString(document, 'metadata', "
            "'ownerReferences', 1, 'name') AS name, count() AS jobs, countIf(position("
            "JSONExtractRaw(document, 'status', 'conditions'), '\"Failed\"') > 0) AS failed FROM ("
            + latest("jobs", "namespace, name, document")
            + ") GROUP BY namespace, name) AS j USING (namespace, name)) "
            "ORDER BY namespace, name LIMIT 200",
            {"schedule": Column(width=120), "suspended": Column(width=90),
             "jobs": Column(width=120)},
            height=7,
        )
    ]  # fmt: skip
