"""Workload: its pods, restarts, probes, images, volumes, events."""

from dashboards.assemble import assemble, cell, query_variable, to
from dashboards.model import Dashboard
from dashboards.names import (
    CLUSTER,
    EPISODES,
    FACTS,
    IN_RANGE,
    K8S_EVENTS,
    LOGS_1M,
    MINUTES,
    OBJECTS,
    STEP,
    WORKLOAD_OF_POD,
    chosen,
    latest,
)
from dashboards.panels import LEVELS, Column, Draft, state_timeline, table, timeseries

_NAMESPACE = chosen("namespace")
# Pods of the workloads that are chosen; the innermost name is looked for in the pods' documents.
_PODS = (
    f"(SELECT namespace, name FROM {OBJECTS} WHERE resource = 'pods' AND {CLUSTER} "
    "AND ts <= $__toTime_ms AND ts > $__fromTime_ms - INTERVAL 7 DAY "
    f"AND {_NAMESPACE} AND {chosen('workload', WORKLOAD_OF_POD)} GROUP BY namespace, name)"
)
_OF_PODS = f"(namespace, name) IN {_PODS}"
_RESTARTS = (
    "arraySum(s -> JSONExtractUInt(s, 'restartCount'), "
    "JSONExtractArrayRaw(document, 'status', 'containerStatuses'))"
)
_WAITING = (
    "arrayStringConcat(arrayFilter(r -> r != '', arrayMap(s -> JSONExtractString(s, 'state', "
    "'waiting', 'reason'), arrayConcat(JSONExtractArrayRaw(document, 'status', "
    "'initContainerStatuses'), JSONExtractArrayRaw(document, 'status', 'containerStatuses')))), "
    "', ')"
)
_READY = (
    "arrayCount(s -> JSONExtractBool(s, 'ready'), "
    "JSONExtractArrayRaw(document, 'status', 'containerStatuses'))"
)
_SINCE = (
    "parseDateTime64BestEffortOrNull(JSONExtractString(document, 'metadata', "
    "'creationTimestamp'), 3, 'UTC')"
)


def dashboard() -> Dashboard:
    return assemble(
        "workload",
        "Workload",
        "Its pods, restarts, probes, images, volumes, events.",
        variables=[
            query_variable(
                "namespace",
                f"SELECT namespace FROM {OBJECTS} WHERE resource = 'pods' AND {CLUSTER} "
                "AND ts <= $__toTime_ms AND ts > $__fromTime_ms - INTERVAL 7 DAY "
                "GROUP BY namespace ORDER BY namespace",
            ),
            query_variable(
                "workload",
                f"SELECT {WORKLOAD_OF_POD} AS workload FROM ("
                + latest("pods", "name, document", _NAMESPACE)
                + ") GROUP BY workload ORDER BY workload LIMIT 1000",
            ),
        ],
        rows=[
            [_pods()],
            [
                state_timeline(
                    "Pod states",
                    "SELECT time, series, state FROM (SELECT $__fromTime_ms AS time, "
                    "replaceOne(entity, 'pod/', '') AS series, argMax(to_state, (ts, ko)) AS "
                    f"state FROM {FACTS} WHERE kind = 'transition' AND machine = 'pod' "
                    f"AND {CLUSTER} AND ts < $__fromTime_ms "
                    "AND ts > $__fromTime_ms - INTERVAL 7 DAY GROUP BY series "
                    "HAVING state NOT IN ('gone', 'removed') UNION ALL SELECT ts AS time, "
                    "replaceOne(entity, 'pod/', '') AS series, to_state AS state "
                    f"FROM {FACTS} WHERE kind = 'transition' AND machine = 'pod' AND {CLUSTER} "
                    f"AND {IN_RANGE}) WHERE (splitByChar('/', series)[1], "
                    f"splitByChar('/', series)[2]) IN {_PODS} ORDER BY time LIMIT 3000",
                    height=11,
                )
            ],
            _restarts(),
            [_images(), _volumes()],
            [_events(), _incidents()],
        ],
    )  # fmt: skip


def _pods() -> Draft:
    phase = "JSONExtractString(document, 'status', 'phase')"
    return table(
        "Pods",
        f"SELECT namespace, name AS pod, {WORKLOAD_OF_POD} AS workload, {phase} AS phase, "
        f"{_WAITING} AS waits, concat(toString({_READY}), '/', toString(length("
        "JSONExtractArrayRaw(document, 'spec', 'containers')))) AS ready, "
        f"{_RESTARTS} AS restarts, JSONExtractString(document, 'spec', 'nodeName') AS node, "
        f"dateDiff('second', {_SINCE}, $__toTime_ms) AS age FROM ("
        + latest("pods", "namespace, name, document", _NAMESPACE)
        + f") WHERE {chosen('workload')} ORDER BY restarts DESC, namespace, pod LIMIT 500",
        {
            "pod": Column(link=to("logs", namespace=cell("namespace"), pod=cell("pod"))),
            "node": Column(link=to("nodes", "cluster", node=cell("node"))),
            "phase": Column(width=100, states=True),
            "ready": Column(width=70),
            "restarts": Column(width=90, bar=True),
            "age": Column(unit="s", width=90),
        },
        height=10,
        description="At the end of the time range. A pod leads to its logs, a node to its state.",
    )


def _restarts() -> list[Draft]:
    return [
        timeseries(
            "Restarts",
            f"SELECT {STEP} AS time, concat(namespace, '/', name) AS series, max({_RESTARTS}) AS "
            f"restarts FROM {OBJECTS} WHERE resource = 'pods' AND {IN_RANGE} AND {CLUSTER} "
            f"AND {_OF_PODS} AND type != 'DELETED' GROUP BY time, series "
            "HAVING restarts > 0 ORDER BY time",
            style="step", width=8, interval="5s",
        ),
        timeseries(
            "Probes that failed",
            f"SELECT {STEP} AS time, concat(name, ' ', lower(splitByChar(' ', message)[1])) "
            f"AS series, count() AS failures FROM {K8S_EVENTS} WHERE reason = 'Unhealthy' "
            f"AND {IN_RANGE} AND {CLUSTER} AND {_OF_PODS} GROUP BY time, series ORDER BY time",
            style="bars", width=8, interval="15s",
        ),
        timeseries(
            "Log lines by level",
            "SELECT $__timeInterval(minute) AS time, if(level = '', 'none', level) AS series, "
            f"sum(rows) AS lines FROM {LOGS_1M} WHERE {MINUTES} AND {_NAMESPACE} "
            f"AND {chosen('workload')} GROUP BY time, series ORDER BY time",
            style="bars", width=8, interval="1m", colours=LEVELS,
        ),
    ]  # fmt: skip


def _images() -> Draft:
    containers = (
        "arrayJoin(arrayConcat(JSONExtractArrayRaw(document, 'spec', 'initContainers'), "
        "JSONExtractArrayRaw(document, 'spec', 'containers')))"
    )
    return table(
        "Images",
        f"SELECT JSONExtractString({containers} AS container, 'image') AS image, "
        "JSONExtractString(container, 'imagePullPolicy') AS pull, count() AS containers, "
        f"uniqExact({WORKLOAD_OF_POD}) AS workloads FROM (SELECT namespace, name, document FROM ("
        + latest("pods", "namespace, name, document", _NAMESPACE)
        + f") WHERE {chosen('workload', WORKLOAD_OF_POD)}) GROUP BY image, pull "
        "ORDER BY containers DESC LIMIT 200",
        {"containers": Column(width=100), "workloads": Column(width=100)},
        width=12,
    )


def _volumes() -> Draft:
    kind = (
        "arrayFirst(k -> k != 'name', JSONExtractKeys(arrayJoin(JSONExtractArrayRaw(document, "
        "'spec', 'volumes')) AS volume))"
    )
    return table(
        "Volumes",
        f"SELECT namespace, name AS pod, {kind} AS kind, JSONExtractString(volume, 'name') AS "
        "volume_name, coalesce(nullIf(JSONExtractString(volume, 'persistentVolumeClaim', "
        "'claimName'), ''), nullIf(JSONExtractString(volume, 'configMap', 'name'), ''), "
        "nullIf(JSONExtractString(volume, 'secret', 'secretName'), ''), "
        "JSONExtractString(volume, 'hostPath', 'path')) AS source FROM ("
        + latest("pods", "namespace, name, document", _NAMESPACE)
        + f") WHERE {chosen('workload', WORKLOAD_OF_POD)} AND kind != 'projected' "
        "ORDER BY namespace, pod LIMIT 300",
        {"kind": Column(width=170)},
        width=12,
    )


def _events() -> Draft:
    return table(
        "Events of its pods",
        "SELECT ts AS time, type, reason, name AS object, message, count AS times "
        f"FROM {K8S_EVENTS} WHERE {IN_RANGE} AND {CLUSTER} AND {_OF_PODS} AND kind = 'Pod' "
        "ORDER BY type = 'Warning' DESC, ts DESC LIMIT 300",
        {
            "time": Column(width=180), "type": Column(width=80, states=True),
            "reason": Column(width=140), "times": Column(width=60),
        },
        width=14, height=10,
    )  # fmt: skip


def _incidents() -> Draft:
    return table(
        "Incidents that touch it",
        "SELECT opened_at AS began, entity, title, status, id "
        f"FROM {EPISODES} FINAL WHERE {CLUSTER} AND status != 'merged' "
        "AND opened_at <= $__toTime_ms AND (closed_at IS NULL OR closed_at >= $__fromTime_ms) "
        f"AND arrayExists(a -> (splitByChar('/', a)[-2], splitByChar('/', a)[-1]) IN {_PODS}, "
        "arrayPushBack(affected, entity)) ORDER BY began DESC LIMIT 100",
        {
            "began": Column(width=180), "id": Column(hidden=True),
            "status": Column(width=70, states=True),
            "title": Column(link=to("incident", "cluster", episode=cell("id"))),
        },
        width=10, height=10,
    )  # fmt: skip
