"""Control objects: namespaces that do not end, APIs that do not answer, certificates."""

from dashboards.assemble import assemble
from dashboards.model import Dashboard
from dashboards.names import CLUSTER, IN_RANGE, NODE_SAMPLES, increase, latest
from dashboards.nodes import states
from dashboards.panels import Column, Draft, stat, state_timeline, table, timeseries

_ANY = ((None, "green"), (1, "red"))
_CONDITIONS = "JSONExtractArrayRaw(document, 'status', 'conditions')"


def _condition(type_: str, key: str) -> str:
    return (
        f"JSONExtractString(arrayFirst(c -> JSONExtractString(c, 'type') = '{type_}', "
        f"{_CONDITIONS}), '{key}')"
    )


def dashboard() -> Dashboard:
    return assemble(
        "control",
        "Control objects",
        "Namespaces that do not end, APIs that do not answer, certificates, leases.",
        variables=[],
        rows=[
            _numbers(),
            [
                state_timeline(
                    "Namespaces and APIs",
                    f"SELECT time, series, state FROM ({states('namespace')} UNION ALL "
                    f"{states('apiservice')}) ORDER BY time",
                )
            ],
            [_namespaces()],
            [_apis(), _leases()],
            [_certificates(), _requests()],
        ],
    )


def _numbers() -> list[Draft]:
    ending = "JSONExtractString(document, 'metadata', 'deletionTimestamp')"
    return [
        stat(
            "Namespaces that are ending",
            f"SELECT countIf({ending} != '') AS value FROM ("
            + latest("namespaces", "document") + ")",
            width=6, steps=((None, "green"), (1, "orange")),
        ),
        stat(
            "APIs not available",
            f"SELECT countIf({_condition('Available', 'status')} != 'True') AS value FROM ("
            + latest("apiservices", "document") + ")",
            width=6, steps=_ANY,
        ),
        stat(
            "Oldest node lease",
            f"SELECT max(dateDiff('second', {_renewed()}, $__toTime_ms)) AS value FROM ("
            + latest("leases", "document") + ")",
            unit="s", width=6, steps=((None, "green"), (60, "orange"), (120, "red")),
            description="At the end of the time range. Renewals are recorded every 20 s.",
        ),
        stat(
            "Kubelet certificate, least left",
            f"SELECT min(ttl) AS value FROM ({_ttls()})",
            unit="s", width=6, steps=((None, "red"), (86400, "orange"), (604800, "green")),
            description="Empty where kubelets do not rotate their certificates.",
        ),
    ]  # fmt: skip


def _namespaces() -> Draft:
    bad = (
        "arrayStringConcat(arrayMap(c -> concat(JSONExtractString(c, 'type'), ': ', "
        "JSONExtractString(c, 'message')), arrayFilter(c -> JSONExtractString(c, 'status') = "
        f"'True', {_CONDITIONS})), '; ')"
    )
    deleted = "JSONExtractString(document, 'metadata', 'deletionTimestamp')"
    return table(
        "Namespaces",
        f"SELECT name AS namespace, JSONExtractString(document, 'status', 'phase') AS phase, "
        f"if({deleted} = '', NULL, dateDiff('second', parseDateTimeBestEffort({deleted}), "
        f"toDateTime($__toTime_ms))) AS ending_for, {bad} AS remains FROM ("
        + latest("namespaces", "name, document")
        + ") ORDER BY phase = 'Terminating' DESC, namespace LIMIT 500",
        {
            "phase": Column(width=110, states=True), "ending_for": Column(unit="s", width=110),
            "namespace": Column(width=220),
        },
        description="What keeps a namespace from ending, in the words of its own conditions.",
    )  # fmt: skip


def _apis() -> Draft:
    status = _condition("Available", "status")
    return table(
        "APIs served elsewhere, and those that are not available",
        f"SELECT name AS api, multiIf(type = 'DELETED', 'gone', {status} = 'True', 'Available', "
        "'Unavailable') AS state, "
        f"{_condition('Available', 'reason')} AS reason, "
        f"{_condition('Available', 'message')} AS message, "
        "JSONExtractString(document, 'spec', 'service', 'name') AS service FROM ("
        + latest("apiservices", "name, type, document", gone=True)
        + ") WHERE service != '' OR state != 'Available' ORDER BY state DESC, api LIMIT 200",
        {"state": Column(width=110, states=True), "reason": Column(width=170)},
        width=15,
    )


def _renewed() -> str:
    renew = "JSONExtractString(document, 'spec', 'renewTime')"
    return f"parseDateTime64BestEffortOrNull({renew}, 3, 'UTC')"


def _leases() -> Draft:
    return table(
        "Node leases",
        f"SELECT name AS node, dateDiff('second', {_renewed()}, $__toTime_ms) AS age, "
        "JSONExtractUInt(document, 'spec', 'leaseDurationSeconds') AS lasts FROM ("
        + latest("leases", "name, document")
        + ") ORDER BY age DESC LIMIT 500",
        {"age": Column(unit="s", width=100, bar=True), "lasts": Column(unit="s", width=90)},
        width=9,
    )


def _ttls() -> str:
    """Seconds that each kubelet's certificates last, as it said last."""
    return (
        "SELECT node, certificate, argMax(seconds, ts) AS ttl FROM (SELECT ts, node, "
        "arrayJoin(['client_cert_ttl', 'server_cert_ttl']) AS certificate, "
        "JSONExtract(`values`, certificate, 'Nullable(Float64)') AS seconds "
        f"FROM {NODE_SAMPLES} WHERE part = 'metrics' AND outcome = 'ok' AND {IN_RANGE} "
        f"AND {CLUSTER}) WHERE seconds IS NOT NULL GROUP BY node, certificate"
    )


def _certificates() -> Draft:
    return table(
        "Certificates of kubelets",
        f"SELECT node, replaceOne(certificate, '_cert_ttl', '') AS certificate, ttl AS left "
        f"FROM ({_ttls()}) ORDER BY left LIMIT 500",
        {"left": Column(unit="s", width=130)},
        width=8,
    )


def _requests() -> Draft:
    return timeseries(
        "Requests to the API server that failed, as nodes saw it",
        "SELECT $__timeInterval_ms(ts) AS time, concat('code ', code) AS series, "
        f"sum(requests) AS failed FROM (SELECT ts, code, {increase('total', 'node, code')} "
        "AS requests "
        "FROM (SELECT ts, node, pair.1 AS code, toFloat64OrZero(pair.2) AS total "
        "FROM (SELECT ts, node, arrayJoin(JSONExtractKeysAndValuesRaw(`values`, 'rest')) AS pair "
        f"FROM {NODE_SAMPLES} WHERE part = 'metrics' AND outcome = 'ok' AND {IN_RANGE} "
        f"AND {CLUSTER}) WHERE NOT startsWith(code, '2'))) GROUP BY time, series "
        "HAVING failed > 0 ORDER BY time",
        style="bars", width=16, height=9, interval="15s",
    )  # fmt: skip
