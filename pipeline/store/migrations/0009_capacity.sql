-- Capacity by node pool and minute, HPAs by minute, drains: what the fold of capacity concludes. A row
-- of `capacity` or `hpa_1m` holds until the next one. Read `drains` with FINAL.

CREATE TABLE IF NOT EXISTS ${db}.capacity${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    pool LowCardinality(String),
    body String CODEC(ZSTD(3)),
    nodes UInt32 DEFAULT JSONExtractUInt(body, 'nodes') CODEC(T64, ZSTD(1)),
    nodes_ready UInt32 DEFAULT JSONExtractUInt(body, 'nodes_ready') CODEC(T64, ZSTD(1)),
    nodes_cordoned UInt32 DEFAULT JSONExtractUInt(body, 'nodes_cordoned') CODEC(T64, ZSTD(1)),
    allocatable_cpu_m UInt64 DEFAULT JSONExtractUInt(body, 'allocatable_cpu_m') CODEC(T64, ZSTD(1)),
    allocatable_memory UInt64 DEFAULT JSONExtractUInt(body, 'allocatable_memory') CODEC(T64, ZSTD(1)),
    usable_cpu_m UInt64 DEFAULT JSONExtractUInt(body, 'usable_cpu_m') CODEC(T64, ZSTD(1)),
    usable_memory UInt64 DEFAULT JSONExtractUInt(body, 'usable_memory') CODEC(T64, ZSTD(1)),
    requested_cpu_m UInt64 DEFAULT JSONExtractUInt(body, 'requested_cpu_m') CODEC(T64, ZSTD(1)),
    requested_memory UInt64 DEFAULT JSONExtractUInt(body, 'requested_memory') CODEC(T64, ZSTD(1)),
    pods UInt32 DEFAULT JSONExtractUInt(body, 'pods') CODEC(T64, ZSTD(1)),
    pods_pending UInt32 DEFAULT JSONExtractUInt(body, 'pods_pending') CODEC(T64, ZSTD(1)),
    lost_cpu_m UInt64 DEFAULT JSONExtractUInt(body, 'lost_cpu_m') CODEC(T64, ZSTD(1)),
    lost_memory UInt64 DEFAULT JSONExtractUInt(body, 'lost_memory') CODEC(T64, ZSTD(1)),
    short_lived UInt32 DEFAULT JSONExtractUInt(body, 'short_lived') CODEC(T64, ZSTD(1)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (pool, ts)
TTL toDateTime(ts) + toIntervalDay(${rollup_days}) DELETE
SETTINGS ${dedup_window};

CREATE TABLE IF NOT EXISTS ${db}.hpa_1m${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    namespace LowCardinality(String),
    name String CODEC(ZSTD(1)),
    body String CODEC(ZSTD(3)),
    target String DEFAULT JSONExtractString(body, 'target') CODEC(ZSTD(1)),
    min UInt32 DEFAULT JSONExtractUInt(body, 'min') CODEC(T64, ZSTD(1)),
    max UInt32 DEFAULT JSONExtractUInt(body, 'max') CODEC(T64, ZSTD(1)),
    current UInt32 DEFAULT JSONExtractUInt(body, 'current') CODEC(T64, ZSTD(1)),
    desired UInt32 DEFAULT JSONExtractUInt(body, 'desired') CODEC(T64, ZSTD(1)),
    ready Nullable(UInt32) DEFAULT JSONExtract(body, 'ready', 'Nullable(UInt32)') CODEC(ZSTD(1)),
    limited UInt8 DEFAULT JSONExtractUInt(body, 'limited') CODEC(ZSTD(1)),
    limited_reason LowCardinality(String) DEFAULT JSONExtractString(body, 'limited_reason'),
    maxed_s Float64 DEFAULT JSONExtractFloat(body, 'maxed_s') CODEC(ZSTD(1)),
    reversals UInt32 DEFAULT JSONExtractUInt(body, 'reversals') CODEC(T64, ZSTD(1)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (namespace, name, ts)
TTL toDateTime(ts) + toIntervalDay(${rollup_days}) DELETE
SETTINGS ${dedup_window};

CREATE TABLE IF NOT EXISTS ${db}.drains${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    id String CODEC(ZSTD(1)),
    version UInt32,
    node LowCardinality(String),
    body String CODEC(ZSTD(3)),
    started_at DateTime64(3, 'UTC') DEFAULT fromUnixTimestamp64Milli(
        JSONExtractInt(body, 'started_at'), 'UTC'),
    ended_at Nullable(DateTime64(3, 'UTC')) DEFAULT if(
        JSONExtractInt(body, 'ended_at') = 0, NULL,
        fromUnixTimestamp64Milli(JSONExtractInt(body, 'ended_at'), 'UTC')),
    status LowCardinality(String) DEFAULT JSONExtractString(body, 'status'),
    evicted UInt32 DEFAULT length(JSONExtractArrayRaw(body, 'evicted')),
    blocked UInt32 DEFAULT length(JSONExtractArrayRaw(body, 'blocked')),
    blocked_by Array(String) DEFAULT JSONExtract(body, 'blocked_by', 'Array(String)') CODEC(ZSTD(1)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY id
TTL toDateTime(ts) + toIntervalDay(${rollup_days}) DELETE
SETTINGS ${dedup_window};

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.capacity${on_cluster} AS ${db}.capacity${local}
ENGINE = Distributed('${cluster}', ${db}, capacity${local}, kp);

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.hpa_1m${on_cluster} AS ${db}.hpa_1m${local}
ENGINE = Distributed('${cluster}', ${db}, hpa_1m${local}, kp);

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.drains${on_cluster} AS ${db}.drains${local}
ENGINE = Distributed('${cluster}', ${db}, drains${local}, kp);
