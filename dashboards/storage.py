"""Images and storage: what cannot be pulled or mounted, and which disks fill up."""

from dashboards.assemble import assemble, cell, query_variable, to
from dashboards.model import Dashboard
from dashboards.names import (
    CLUSTER,
    IN_RANGE,
    K8S_EVENTS,
    NODE_SAMPLES,
    STEP,
    chosen,
    latest,
)
from dashboards.panels import Column, Draft, stat, table, timeseries

_EVENTS = f"FROM {K8S_EVENTS} WHERE {IN_RANGE} AND {CLUSTER}"
_PULL_FAILS = (
    "((reason IN ('Failed', 'FailedPull', 'ErrImageNeverPull', 'InspectFailed') AND "
    "multiSearchAnyCaseInsensitive(message, ['image', 'pull'])) OR (reason = 'BackOff' AND "
    "position(message, 'pulling image') > 0))"
)
_MOUNT_FAILS = (
    "reason IN ('FailedMount', 'FailedAttachVolume', 'FailedMapVolume', 'ProvisioningFailed', "
    "'FailedBinding', 'VolumeResizeFailed', 'FileSystemResizeFailed')"
)
_STATS = (
    f"FROM {NODE_SAMPLES} WHERE part = 'stats' AND outcome = 'ok' AND {IN_RANGE} AND {CLUSTER} "
    f"AND {chosen('node')}"
)
_ANY = ((None, "green"), (1, "orange"))


def _value(*path: str) -> str:
    return f"JSONExtractFloat(`values`, {', '.join(repr(p) for p in path)})"


def dashboard() -> Dashboard:
    nodes = query_variable(
        "node",
        f"SELECT node FROM {NODE_SAMPLES} WHERE part = 'stats' AND {IN_RANGE} AND {CLUSTER} "
        "GROUP BY node ORDER BY node",
    )
    return assemble(
        "storage",
        "Images and storage",
        "What cannot be pulled or mounted, and which disks fill up.",
        variables=[nodes],
        rows=[_numbers(), _disks(), _pulls(), _volumes()],
    )


def _numbers() -> list[Draft]:
    fullest = "least(free / nullIf(size, 0), inodes_free / nullIf(inodes, 0))"
    return [
        stat(
            "Pods that cannot pull",
            f"SELECT uniqExact(namespace, name) AS value {_EVENTS} AND {_PULL_FAILS}",
            width=6, steps=_ANY,
        ),
        stat(
            "Pods that cannot mount",
            f"SELECT uniqExact(namespace, name) AS value {_EVENTS} AND {_MOUNT_FAILS}",
            width=6, steps=_ANY,
        ),
        stat(
            "Claims not bound",
            "SELECT countIf(JSONExtractString(document, 'status', 'phase') != 'Bound') AS value "
            "FROM (" + latest("persistentvolumeclaims", "document") + ")",
            width=6, steps=_ANY,
        ),
        stat(
            "Least free, images or nodes",
            f"SELECT min(least) AS value FROM (SELECT argMax({fullest}, ts) AS least FROM ("
            "SELECT ts, node, arrayJoin(['fs', 'image_fs']) AS fs, "
            "JSONExtractFloat(`values`, fs, 'size') AS size, "
            "JSONExtractFloat(`values`, fs, 'free') AS free, JSONExtractFloat(`values`, fs, "
            "'inodes') AS inodes, JSONExtractFloat(`values`, fs, 'inodes_free') AS inodes_free "
            f"{_STATS}) GROUP BY node, fs)",
            unit="percentunit", width=6, steps=((None, "red"), (0.15, "orange"), (0.3, "green")),
            description="Bytes or inodes, whichever is scarcer. The kubelet evicts below 10 % "
            "(nodefs) and 15 % (imagefs) unless it is told otherwise.",
        ),
    ]  # fmt: skip


def _disks() -> list[Draft]:
    def used(title: str, size: str, free: str, description: str) -> Draft:
        share = " UNION ALL ".join(
            f"SELECT {STEP} AS time, concat(node, ' {name}') AS series, 1 - min("
            f"{_value(part, free)}) / max({_value(part, size)}) AS used {_STATS} "
            f"AND {_value(part, size)} > 0 GROUP BY time, series"
            for part, name in (("fs", "node"), ("image_fs", "images"))
        )
        return timeseries(
            title, f"SELECT time, series, used FROM ({share}) ORDER BY time",
            unit="percentunit", interval="30s", limit=0.85, description=description,
        )  # fmt: skip

    return [
        used("Bytes used", "size", "free", "The kubelet's own view: /stats/summary."),
        used("Inodes used", "inodes", "inodes_free", "A disk with free bytes can lack inodes."),
    ]


def _pulls() -> list[Draft]:
    return [
        timeseries(
            "Image pulls",
            f"SELECT {STEP} AS time, multiIf({_PULL_FAILS}, 'failed', "
            "position(message, 'already present') > 0, 'present', reason = 'Pulled', 'pulled', "
            f"'begun') AS series, count() AS events {_EVENTS} AND (reason IN ('Pulled', 'Pulling') "
            f"OR {_PULL_FAILS}) GROUP BY time, series ORDER BY time",
            style="bars", width=9, interval="15s",
            colours={"failed": "red", "present": "green", "pulled": "blue", "begun": "gray"},
        ),
        table(
            "Images that cannot be pulled",
            "SELECT max(ts) AS last, namespace, name AS pod, argMax(message, (length(message), "
            f"ts)) AS said, count() AS events {_EVENTS} AND {_PULL_FAILS} "
            "GROUP BY namespace, name ORDER BY last DESC LIMIT 200",
            {
                "last": Column(width=180), "events": Column(width=70),
                "pod": Column(
                    width=160,
                    link=to("workload", "cluster", namespace=cell("namespace")),
                ),
            },
            width=15, height=8,
        ),
    ]  # fmt: skip


def _volumes() -> list[Draft]:
    return [
        table(
            "Claims",
            "SELECT namespace, name AS claim, JSONExtractString(document, 'status', 'phase') AS "
            "phase, JSONExtractString(document, 'spec', 'storageClassName') AS class, "
            "JSONExtractString(document, 'spec', 'resources', 'requests', 'storage') AS asked, "
            "arrayStringConcat(JSONExtract(document, 'metadata', 'finalizers', 'Array(String)'), "
            "', ') AS finalizers, JSONExtractString(document, 'metadata', 'deletionTimestamp') AS "
            "deleted FROM ("
            + latest("persistentvolumeclaims", "namespace, name, document")
            + ") ORDER BY phase = 'Bound', namespace, claim LIMIT 300",
            {"phase": Column(width=90, states=True), "asked": Column(width=70)},
            width=11,
        ),
        table(
            "Volumes that cannot be mounted",
            "SELECT max(ts) AS last, namespace, name AS pod, reason, argMax(message, ts) AS "
            f"said, count() AS events {_EVENTS} AND {_MOUNT_FAILS} "
            "GROUP BY namespace, name, reason ORDER BY last DESC LIMIT 200",
            {
                "last": Column(width=180), "events": Column(width=70),
                "reason": Column(width=140),
            },
            width=13,
        ),
    ]  # fmt: skip
