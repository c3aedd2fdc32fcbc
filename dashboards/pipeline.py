"""Pipeline: how kubeledger itself does. Rows, lag, dead letters, the exactly-once account, the
store's health, and what each namespace costs."""

from dashboards.assemble import assemble, cell, to
from dashboards.model import Dashboard
from dashboards.names import (
    DEAD_LETTERS,
    FILES,
    GAPS,
    IN_RANGE,
    LOGS,
    LOGS_1M,
    MINUTES,
    NODE_SAMPLES,
    SECONDS,
)
from dashboards.panels import Column, Draft, stat, table, timeseries

_ANY = ((None, "green"), (1, "red"))
_AGE = "(toUnixTimestamp64Milli(stored_at) - toUnixTimestamp64Milli(ts)) / 1000"
_NEWEST = "ts > $__toTime_ms - INTERVAL 2 MINUTE AND ts <= $__toTime_ms"
_LATE = f"ts > $__toTime_ms - INTERVAL 15 MINUTE AND {IN_RANGE}"
_PARTS = "system.parts WHERE active AND database = currentDatabase()"
# Stored bytes for a raw one, indexes included, over all that is kept.
_RATIO = (
    f"(SELECT sum(bytes_on_disk) FROM {_PARTS} AND table = '{LOGS}') / "
    f"(SELECT sum(bytes) FROM {LOGS_1M})"
)


def dashboard() -> Dashboard:
    return assemble(
        "pipeline",
        "Pipeline",
        "How kubeledger itself does: rows, lag, dead letters, the account, the store, the cost.",
        variables=[],
        with_clusters=False,
        rows=[_numbers(), _flow(), _account(), _store(), _cost()],
    )


def _numbers() -> list[Draft]:
    return [
        stat(
            "Rows per second",
            f"SELECT sum(rows) / ({SECONDS}) AS value FROM {LOGS_1M} WHERE {MINUTES}",
            decimals=1,
        ),
        stat(
            "Lag of the slowest partition",
            f"SELECT max(age) AS value FROM (SELECT kp, argMax({_AGE}, ko) AS age FROM {LOGS} "
            f"WHERE {_NEWEST} GROUP BY kp)",
            unit="s", steps=((None, "green"), (10, "orange"), (60, "red")),
            description="Written to stored, of the newest record of each partition in the last "
            "two minutes of the time range.",
        ),
        stat(
            "Dead letters",
            f"SELECT count() AS value FROM {DEAD_LETTERS} WHERE {IN_RANGE}", steps=_ANY,
        ),
        stat(
            "Rows stored twice",
            "SELECT count() - uniqExact(file_id, off) AS value FROM "
            f"{LOGS} WHERE {_NEWEST}",
            steps=_ANY,
            description="Of the last two minutes of the time range: rows less distinct "
            "(file, offset). The whole account: kubeledger audit.",
        ),
        stat(
            "Disk free",
            "SELECT min(free_space / total_space) AS value FROM system.disks "
            "WHERE total_space > 0",
            unit="percentunit", steps=((None, "red"), (0.1, "orange"), (0.2, "green")),
        ),
        stat(
            "Days until the disk is full",
            "SELECT (SELECT min(free_space) FROM system.disks WHERE total_space > 0) / nullIf("
            f"(SELECT sum(bytes) / ({SECONDS}) * 86400 FROM {LOGS_1M} WHERE {MINUTES}) "
            f"* ({_RATIO}), 0) AS value",
            decimals=1, steps=((None, "red"), (3, "orange"), (14, "green")),
            description="At the rate of the time range, before anything expires.",
        ),
    ]  # fmt: skip


def _flow() -> list[Draft]:
    return [
        timeseries(
            "Rows per second",
            "SELECT $__timeInterval(minute) AS time, sum(rows) / $__interval_s AS logs "
            f"FROM {LOGS_1M} WHERE {MINUTES} GROUP BY time ORDER BY time",
            width=8, interval="1m", style="area",
        ),
        timeseries(
            "Written to stored, by partition",
            f"SELECT $__timeInterval_ms(ts) AS time, concat('partition ', toString(kp)) AS "
            f"series, max({_AGE}) AS age FROM {LOGS} WHERE {_LATE} "
            "GROUP BY time, series ORDER BY time",
            unit="s", width=8,
            description="The oldest line of each step, in the last 15 minutes of the time range: "
            "bus, processor and store together.",
        ),
        timeseries(
            "Event log: samples per second",
            "SELECT $__timeInterval_ms(ts) AS time, part AS series, count() / $__interval_s AS "
            f"samples FROM {NODE_SAMPLES} WHERE {IN_RANGE} GROUP BY time, series ORDER BY time",
            width=8, interval="15s", style="area",
        ),
    ]  # fmt: skip


def _account() -> list[Draft]:
    return [
        table(
            "Dead letters",
            f"SELECT ts AS time, reason, detail, nbytes AS raw, kp AS partition, ko AS offset "
            f"FROM {DEAD_LETTERS} WHERE {IN_RANGE} ORDER BY ts DESC LIMIT 200",
            {"time": Column(width=180), "reason": Column(width=140), "raw": Column(unit="bytes")},
            width=12, height=8,
            description="What could not be stored, with its reason. After the fix: kubeledger "
            "replay dead.",
        ),
        table(
            "The account of files",
            "SELECT 'files opened' AS what, countIf(event = 'open') AS files, toInt64(0) AS bytes "
            f"FROM {FILES} WHERE {IN_RANGE} UNION ALL SELECT concat('ended: ', reason) AS what, "
            f"count() AS files, toInt64(sum(size)) AS bytes FROM {FILES} WHERE {IN_RANGE} "
            "AND event = 'end' GROUP BY reason UNION ALL "
            "SELECT concat('missing: ', reason) AS what, "
            f"uniqExact(file_id) AS files, toInt64(sum(stop - start)) AS bytes FROM {GAPS} "
            f"WHERE {IN_RANGE} GROUP BY reason ORDER BY what",
            {"files": Column(width=80), "bytes": Column(unit="bytes", width=110)},
            width=6, height=8,
        ),
        table(
            "Rows that are marked",
            "SELECT multiIf(bitAnd(flags, 4) > 0, 'not in its format', bitAnd(flags, 1) > 0, "
            "'cut short', bitAnd(flags, 16) > 0, 'continues', bitAnd(flags, 2) > 0, "
            "'time moved', bitAnd(flags, 8) > 0, 'several lines', enriched = 0, "
            f"'no pod metadata', 'plain') AS what, count() AS rows FROM {LOGS} WHERE {_NEWEST} "
            "GROUP BY what ORDER BY rows DESC",
            {"rows": Column(width=100, bar=True)},
            width=6, height=8,
            description="Of the last two minutes of the time range.",
        ),
    ]  # fmt: skip


def _store() -> list[Draft]:
    return [
        table(
            "Store",
            "SELECT table AS of, sum(rows) AS stored_rows, sum(bytes_on_disk) AS on_disk, "
            "sum(data_uncompressed_bytes) / sum(bytes_on_disk) AS smaller, count() AS parts, "
            "nullIf(min(min_time), toDateTime(0)) AS oldest FROM "
            f"{_PARTS} GROUP BY table ORDER BY on_disk DESC",
            {
                "stored_rows": Column(unit="short", width=110),
                "on_disk": Column(unit="bytes", width=110, bar=True),
                "smaller": Column(unit="short", width=90), "parts": Column(width=70),
            },
            width=12,
        ),
        table(
            "Disks of the store",
            "SELECT name AS disk, path, free_space AS free, total_space AS total, "
            "1 - free_space / total_space AS used FROM system.disks WHERE total_space > 0",
            {
                "free": Column(unit="bytes", width=110), "total": Column(unit="bytes", width=110),
                "used": Column(unit="percentunit", width=100),
            },
            width=12,
        ),
    ]  # fmt: skip


def _cost() -> list[Draft]:
    return [
        table(
            "What each namespace costs",
            f"SELECT if(namespace = '', '(node)', namespace) AS namespace, sum(rows) AS lines, "
            "sum(bytes) AS raw, raw / sum(raw) OVER () AS share, "
            f"raw * ({_RATIO}) AS stored, raw / ({SECONDS}) * 86400 AS raw_per_day "
            f"FROM {LOGS_1M} WHERE {MINUTES} GROUP BY namespace ORDER BY raw DESC LIMIT 500",
            {
                "namespace": Column(link=to("logs", namespace=cell("namespace"))),
                "lines": Column(unit="short", width=110), "raw": Column(unit="bytes", width=110),
                "share": Column(unit="percentunit", width=110, bar=True),
                "stored": Column(unit="bytes", width=110),
                "raw_per_day": Column(unit="bytes", width=120),
            },
            description="Stored: raw bytes times what the store makes of them, indexes included.",
        )
    ]  # fmt: skip
