"""Incident: one on one page. What, since when, why, what else it could be, what suffers."""

from dashboards.assemble import assemble, query_variable
from dashboards.model import Dashboard
from dashboards.names import (
    ALERTS,
    CLUSTER,
    EPISODES,
    FACTS,
    K8S_EVENTS,
    NODE_SAMPLES,
    SIGNALS,
    STEP,
)
from dashboards.panels import Column, Draft, stat, state_timeline, table, timeseries

_IT = f"FROM {EPISODES} FINAL WHERE {CLUSTER} AND id IN (${{episode:sqlstring}})"
_ENTITY = f"(SELECT entity {_IT})"
# Of the incident itself, whatever range is chosen: from five minutes before it began, one minute
# after it ended.
_BEGAN = f"(SELECT min(opened_at) - INTERVAL 5 MINUTE {_IT})"
_ENDED = f"(SELECT max(ifNull(closed_at, $__toTime_ms)) + INTERVAL 1 MINUTE {_IT})"
_DURING = f"ts >= {_BEGAN} AND ts <= {_ENDED}"
# Its entity and what suffers from it, as entities (kind/namespace/name) and as they are named in
# `affected` (pods without their kind).
_SUFFER = (
    "(SELECT arrayJoin(arrayConcat([entity], affected, "
    f"arrayMap(a -> concat('pod/', a), affected))) {_IT})"
)
_NODE = f"(SELECT replaceOne(entity, 'node/', '') {_IT} AND startsWith(entity, 'node/'))"


def dashboard() -> Dashboard:
    episodes = query_variable(
        "episode",
        "SELECT id, concat(formatDateTime(opened_at, '%H:%i:%S'), ' ', entity, ': ', title) "
        f"AS text FROM {EPISODES} FINAL WHERE {CLUSTER} AND status != 'merged' "
        "AND opened_at <= $__toTime_ms AND (closed_at IS NULL OR closed_at >= $__fromTime_ms) "
        "ORDER BY status = 'open' DESC, length(affected) DESC, opened_at DESC LIMIT 200",
        label="Incident", several=False,
    )  # fmt: skip
    return assemble(
        "incident",
        "Incident",
        "One incident on one page: what, since when, why, what else it could be, what suffers.",
        variables=[episodes],
        rows=[
            _head(),
            [_evidence()],
            [_candidates(), _versions()],
            [_alerts()],
            _around(),
            _said(),
        ],
    )


def _head() -> list[Draft]:
    return [
        table(
            "What",
            f"SELECT entity, title, cause, confidence, status, opened_at AS began, "
            f"detected_at AS reported, closed_at AS ended {_IT}",
            {
                "confidence": Column(width=100, states=True),
                "status": Column(width=80, states=True),
                "entity": Column(width=220),
            },
            width=16, height=3,
        ),
        stat(
            "Lasts",
            "SELECT dateDiff('second', opened_at, ifNull(closed_at, $__toTime_ms)) AS value "
            f"{_IT}",
            unit="s",
        ),
        stat(
            "Reported before the node status",
            "SELECT if(said = 0, NULL, (said - toUnixTimestamp64Milli(reported)) / 1000) AS value "
            "FROM (SELECT minIf(toUnixTimestamp64Milli(ts), to_state IN ('NotReady', 'Unknown')) "
            f"AS said FROM {FACTS} WHERE kind = 'transition' AND machine = 'node' AND {CLUSTER} "
            f"AND from_state != 'new' AND entity IN {_ENTITY} AND {_DURING}) AS a CROSS JOIN "
            f"(SELECT detected_at AS reported {_IT}) AS b",
            unit="s", steps=((None, "orange"), (0, "green")),
            description="How long before NotReady or Unknown the incident was reported.",
        ),
    ]  # fmt: skip


def _evidence() -> Draft:
    return table(
        "Evidence",
        "SELECT fromUnixTimestamp64Milli(JSONExtractInt(e, 'first'), 'UTC') AS first, "
        "fromUnixTimestamp64Milli(JSONExtractInt(e, 'last'), 'UTC') AS last, "
        "JSONExtractString(e, 'role') AS role, JSONExtractString(e, 'atom') AS atom, "
        "JSONExtractString(e, 'subject') AS subject, JSONExtractString(e, 'quote') AS quote, "
        "JSONExtractInt(e, 'count') AS times, JSONExtractInt(e, 'offset') AS offset "
        f"FROM (SELECT arrayJoin(JSONExtractArrayRaw(evidence)) AS e {_IT}) "
        "ORDER BY indexOf(['proof', 'required', 'supporting'], role) = 0, "
        "indexOf(['proof', 'required', 'supporting'], role), first LIMIT 200",
        {
            "first": Column(width=180), "last": Column(width=180), "role": Column(width=90),
            "atom": Column(width=220), "times": Column(width=70), "offset": Column(width=80),
        },
        description="Each piece quotes its source; offset is of the record on kubeledger.state.",
    )  # fmt: skip


def _candidates() -> Draft:
    return table(
        "What else it could be",
        "SELECT JSONExtractString(c, 'cause') AS cause, JSONExtractString(c, 'confidence') AS "
        "confidence, arrayStringConcat(JSONExtract(c, 'shown', 'Array(String)'), ', ') AS shown, "
        "arrayStringConcat(JSONExtract(c, 'against', 'Array(String)'), ', ') AS against, "
        "arrayStringConcat(arrayMap(m -> arrayStringConcat(m, ' or '), "
        "JSONExtract(c, 'missing', 'Array(Array(String))')), ', ') AS missing "
        f"FROM (SELECT arrayJoin(JSONExtractArrayRaw(candidates)) AS c {_IT}) LIMIT 50",
        {"cause": Column(width=190), "confidence": Column(width=100, states=True)},
        width=14, height=8,
        description="Causes that fit in part: what was shown, what speaks against them, what is "
        "missing.",
    )  # fmt: skip


def _versions() -> Draft:
    return table(
        "How the verdict grew",
        "SELECT ts AS time, JSONExtractString(body, 'status') AS status, "
        "JSONExtractString(body, 'verdict') AS verdict, JSONExtractString(body, 'confidence') AS "
        "confidence, length(JSONExtractArrayRaw(body, 'evidence')) AS evidence, "
        "length(JSONExtractArrayRaw(body, 'affected')) AS affects "
        f"FROM {FACTS} WHERE kind = 'episode' AND {CLUSTER} AND entity IN {_ENTITY} AND {_DURING} "
        "AND JSONExtractString(body, 'id') IN (${episode:sqlstring}) ORDER BY time LIMIT 200",
        {
            "time": Column(width=180), "status": Column(width=70, states=True),
            "confidence": Column(width=100, states=True), "evidence": Column(width=80),
            "affects": Column(width=70),
        },
        width=10, height=8,
    )  # fmt: skip


def _alerts() -> Draft:
    return table(
        "Alerts about it",
        "SELECT starts_at AS began, status, severity, rule, summary, cause, ends_at AS ended, "
        "dateDiff('second', starts_at, ifNull(ends_at, $__toTime_ms)) AS lasted "
        f"FROM {ALERTS} FINAL WHERE {CLUSTER} AND status IN ('firing', 'resolved') "
        "AND episode IN (${episode:sqlstring}) ORDER BY began LIMIT 200",
        {
            "began": Column(width=180), "status": Column(width=80, states=True),
            "severity": Column(width=80, states=True), "rule": Column(width=170),
            "cause": Column(width=190), "ended": Column(width=180),
            "lasted": Column(unit="s", width=90),
        },
        height=5,
        description="What was told of it, from when, for how long.",
    )  # fmt: skip


def _around() -> list[Draft]:
    base = f"FROM {FACTS} WHERE kind = 'transition' AND {CLUSTER} AND entity IN {_SUFFER}"
    return [
        state_timeline(
            "What it does to whom",
            "SELECT time, series, state FROM ("
            f"SELECT {_BEGAN} AS time, concat(entity, if(machine IN ('pod', 'node'), '', "
            "concat(' ', machine))) AS series, argMax(to_state, (ts, ko)) AS state "
            f"{base} AND ts < {_BEGAN} AND ts > {_BEGAN} - INTERVAL 1 DAY GROUP BY series "
            "UNION ALL SELECT ts AS time, concat(entity, if(machine IN ('pod', 'node'), '', "
            f"concat(' ', machine))) AS series, to_state AS state {base} AND {_DURING}) "
            "ORDER BY time LIMIT 2000",
            width=14, height=10,
        ),
        timeseries(
            "Age of the node's relist",
            f"SELECT {STEP} AS time, node AS series, max(pleg_age_s) AS age FROM {NODE_SAMPLES} "
            f"WHERE part = 'metrics' AND node IN {_NODE} AND {CLUSTER} AND {_DURING} "
            "AND pleg_age_s IS NOT NULL GROUP BY time, series ORDER BY time",
            unit="s", limit=180, width=10, height=10, interval="5s",
        ),
    ]  # fmt: skip


def _said() -> list[Draft]:
    return [
        table(
            "Kubernetes Events about it",
            "SELECT ts AS time, type, reason, concat(lower(kind), '/', if(namespace = '' OR "
            "kind = 'Node', '', concat(namespace, '/')), name) AS object, message, count AS times, "
            f"component FROM {K8S_EVENTS} WHERE {CLUSTER} AND {_DURING} AND object IN {_SUFFER} "
            "ORDER BY ts DESC LIMIT 300",
            {
                "time": Column(width=180), "type": Column(width=80, states=True),
                "reason": Column(width=150), "times": Column(width=60),
            },
            width=14, height=10,
        ),
        table(
            "What daemons of the node logged",
            "SELECT ts AS time, pattern, program, line FROM "
            f"{SIGNALS} WHERE {CLUSTER} AND node IN {_NODE} AND {_DURING} "
            "ORDER BY ts DESC LIMIT 300",
            {
                "time": Column(width=180), "pattern": Column(width=200),
                "program": Column(width=90),
            },
            width=10, height=10,
        ),
    ]  # fmt: skip
