-- Rows and bytes per minute: menus, volumes and alerts read this instead of the lines. Kept
-- longer than the lines, for comparison with last month.

CREATE TABLE IF NOT EXISTS ${db}.logs_1m${local}${on_cluster}
(
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    namespace LowCardinality(String),
    workload LowCardinality(String),
    container LowCardinality(String),
    node LowCardinality(String),
    level LowCardinality(String),
    rows UInt64 CODEC(T64, ZSTD(1)),
    bytes UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = ${replicated}SummingMergeTree((rows, bytes))
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, namespace, workload, container, node, level)
TTL minute + toIntervalDay(${rollup_days}) DELETE
SETTINGS ${dedup_window};

CREATE MATERIALIZED VIEW IF NOT EXISTS ${db}.logs_1m_view${local}${on_cluster}
TO ${db}.logs_1m${local}
AS SELECT
    toStartOfMinute(toDateTime(ts, 'UTC')) AS minute,
    namespace,
    workload,
    container,
    node,
    level,
    count() AS rows,
    sum(nbytes) AS bytes
FROM ${db}.logs${local}
GROUP BY minute, namespace, workload, container, node, level;

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.logs_1m${on_cluster} AS ${db}.logs_1m${local}
ENGINE = Distributed('${cluster}', ${db}, logs_1m${local}, rand());
