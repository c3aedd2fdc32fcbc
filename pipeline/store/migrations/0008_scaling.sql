-- Scaling decisions and the pods that they caused. `scalings` has the latest version of each
-- decision, `scale_timelines` the latest version of each pod: read both with FINAL. Every version
-- stays in `facts`, kind = 'scaling'. NULL is unknown, never zero.

CREATE TABLE IF NOT EXISTS ${db}.scalings${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    id String CODEC(ZSTD(1)),
    version UInt32,
    workload String CODEC(ZSTD(1)),
    body String CODEC(ZSTD(3)),
    by LowCardinality(String) DEFAULT JSONExtractString(body, 'by'),
    who String DEFAULT JSONExtractString(body, 'who') CODEC(ZSTD(1)),
    from_replicas UInt32 DEFAULT JSONExtractUInt(body, 'from'),
    to_replicas UInt32 DEFAULT JSONExtractUInt(body, 'to'),
    decided_at DateTime64(3, 'UTC') DEFAULT fromUnixTimestamp64Milli(
        JSONExtractInt(body, 'decided_at'), 'UTC'),
    status LowCardinality(String) DEFAULT JSONExtractString(body, 'status'),
    longest LowCardinality(String) DEFAULT JSONExtractString(body, 'longest'),
    total_ms Nullable(Int64) DEFAULT JSONExtract(body, 'total_ms', 'Nullable(Int64)'),
    pods UInt32 DEFAULT JSONExtractUInt(body, 'count'),
    ready UInt32 DEFAULT JSONExtractUInt(body, 'ready'),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY id
TTL toDateTime(ts) + toIntervalDay(${rollup_days}) DELETE
SETTINGS ${dedup_window};

CREATE TABLE IF NOT EXISTS ${db}.scale_timelines${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    pod_uid String CODEC(ZSTD(1)),
    version UInt64,
    scaling_id String CODEC(ZSTD(1)),
    workload String CODEC(ZSTD(1)),
    by LowCardinality(String),
    body String CODEC(ZSTD(3)),
    namespace LowCardinality(String) DEFAULT JSONExtractString(body, 'namespace'),
    pod String DEFAULT JSONExtractString(body, 'name') CODEC(ZSTD(1)),
    node LowCardinality(String) DEFAULT JSONExtractString(body, 'node'),
    node_pool LowCardinality(String) DEFAULT JSONExtractString(body, 'node_pool'),
    status LowCardinality(String) DEFAULT JSONExtractString(body, 'status'),
    reason String DEFAULT JSONExtractString(body, 'reason') CODEC(ZSTD(1)),
    longest LowCardinality(String) DEFAULT JSONExtractString(body, 'longest'),
    total_ms Nullable(Int64) DEFAULT JSONExtract(body, 'total_ms', 'Nullable(Int64)'),
    created_at Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'created_at', 'Nullable(Int64)'), 'UTC'),
    t_decided Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'decided', 't', 'Nullable(Int64)'), 'UTC'),
    t_created Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'created', 't', 'Nullable(Int64)'), 'UTC'),
    t_unschedulable Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'unschedulable', 't', 'Nullable(Int64)'), 'UTC'),
    t_autoscaler Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'autoscaler', 't', 'Nullable(Int64)'), 'UTC'),
    t_node_created Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'node_created', 't', 'Nullable(Int64)'), 'UTC'),
    t_node_ready Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'node_ready', 't', 'Nullable(Int64)'), 'UTC'),
    t_scheduled Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'scheduled', 't', 'Nullable(Int64)'), 'UTC'),
    t_sandbox Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'sandbox', 't', 'Nullable(Int64)'), 'UTC'),
    t_initialized Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'initialized', 't', 'Nullable(Int64)'), 'UTC'),
    t_pulled Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'pulled', 't', 'Nullable(Int64)'), 'UTC'),
    t_started Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'started', 't', 'Nullable(Int64)'), 'UTC'),
    t_ready Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(
        JSONExtract(body, 'times', 'ready', 't', 'Nullable(Int64)'), 'UTC'),
    seg_decision_ms Nullable(Int64) DEFAULT JSONExtract(
        body, 'segments', 'decision', 'Nullable(Int64)'),
    seg_queue_ms Nullable(Int64) DEFAULT JSONExtract(
        body, 'segments', 'queue', 'Nullable(Int64)'),
    seg_provision_ms Nullable(Int64) DEFAULT JSONExtract(
        body, 'segments', 'provision', 'Nullable(Int64)'),
    seg_bringup_ms Nullable(Int64) DEFAULT JSONExtract(
        body, 'segments', 'bringup', 'Nullable(Int64)'),
    seg_scheduling_ms Nullable(Int64) DEFAULT JSONExtract(
        body, 'segments', 'scheduling', 'Nullable(Int64)'),
    seg_sandbox_ms Nullable(Int64) DEFAULT JSONExtract(
        body, 'segments', 'sandbox', 'Nullable(Int64)'),
    seg_init_ms Nullable(Int64) DEFAULT JSONExtract(
        body, 'segments', 'init', 'Nullable(Int64)'),
    seg_pull_ms Nullable(Int64) DEFAULT JSONExtract(
        body, 'segments', 'pull', 'Nullable(Int64)'),
    seg_ready_ms Nullable(Int64) DEFAULT JSONExtract(
        body, 'segments', 'ready', 'Nullable(Int64)'),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY pod_uid
TTL toDateTime(ts) + toIntervalDay(${rollup_days}) DELETE
SETTINGS ${dedup_window};

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.scalings${on_cluster} AS ${db}.scalings${local}
ENGINE = Distributed('${cluster}', ${db}, scalings${local}, kp);

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.scale_timelines${on_cluster} AS ${db}.scale_timelines${local}
ENGINE = Distributed('${cluster}', ${db}, scale_timelines${local}, kp);
