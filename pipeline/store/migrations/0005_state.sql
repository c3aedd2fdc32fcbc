-- The event log of the cluster as tables: node samples, Kubernetes Events, object versions, log
-- signals. The reader's word for every column is in pipeline/contract/tables.py.
--
-- Computed columns are DEFAULT expressions over the JSON: NULL where the key is absent, which
-- means unknown and never zero. Branches of a DEFAULT are all evaluated for all rows, so only the
-- part that has the key is given to the JSON functions.

CREATE TABLE IF NOT EXISTS ${db}.node_samples${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    node LowCardinality(String),
    part LowCardinality(String),
    outcome LowCardinality(String),
    ms UInt32 CODEC(T64, ZSTD(1)),
    status UInt16 CODEC(T64, ZSTD(1)),
    patient UInt8 CODEC(T64, ZSTD(1)),
    detail String CODEC(ZSTD(1)),
    `values` String CODEC(ZSTD(3)),
    pleg_age_s Nullable(Float64) DEFAULT (toUnixTimestamp64Milli(ts) + ts_shift) / 1000 - JSONExtract(
        if(part = 'metrics', `values`, ''), 'pleg_last_seen', 'Nullable(Float64)') CODEC(ZSTD(1)),
    relist_count Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'metrics', `values`, ''), 'relist_count', 'Nullable(Float64)') CODEC(ZSTD(1)),
    relist_sum Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'metrics', `values`, ''), 'relist_sum', 'Nullable(Float64)') CODEC(ZSTD(1)),
    running_pods Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'metrics', `values`, ''), 'running_pods', 'Nullable(Float64)') CODEC(ZSTD(1)),
    desired_pods Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'metrics', `values`, ''), 'desired_pods', 'Nullable(Float64)') CODEC(ZSTD(1)),
    psi_cpu_some Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'host', `values`, ''), 'psi', 'cpu', 'some_avg10', 'Nullable(Float64)')
        CODEC(ZSTD(1)),
    psi_memory_some Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'host', `values`, ''), 'psi', 'memory', 'some_avg10', 'Nullable(Float64)')
        CODEC(ZSTD(1)),
    psi_memory_full Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'host', `values`, ''), 'psi', 'memory', 'full_avg10', 'Nullable(Float64)')
        CODEC(ZSTD(1)),
    psi_io_some Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'host', `values`, ''), 'psi', 'io', 'some_avg10', 'Nullable(Float64)')
        CODEC(ZSTD(1)),
    psi_io_full Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'host', `values`, ''), 'psi', 'io', 'full_avg10', 'Nullable(Float64)')
        CODEC(ZSTD(1)),
    load1 Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'host', `values`, ''), 'load', 1, 'Nullable(Float64)') CODEC(ZSTD(1)),
    dstate_count Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'host', `values`, ''), 'dstate_count', 'Nullable(Float64)') CODEC(ZSTD(1)),
    memory_available Nullable(Float64) DEFAULT JSONExtract(
        if(part = 'host', `values`, ''), 'memory', 'available', 'Nullable(Float64)')
        CODEC(ZSTD(1)),
    healthz_failed Array(String) DEFAULT JSONExtract(
        if(part = 'healthz', `values`, ''), 'failed', 'Array(String)') CODEC(ZSTD(1)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toDate(ts)
ORDER BY (part, node, ts)
TTL toDateTime(ts) + toIntervalDay(${ttl_days}) DELETE
SETTINGS ttl_only_drop_parts = 1, ${dedup_window};

CREATE TABLE IF NOT EXISTS ${db}.k8s_events${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    uid String CODEC(ZSTD(1)),
    version String CODEC(ZSTD(1)),
    type LowCardinality(String),
    reason LowCardinality(String),
    message String CODEC(ZSTD(1)),
    kind LowCardinality(String),
    namespace LowCardinality(String),
    name String CODEC(ZSTD(1)),
    object_uid String CODEC(ZSTD(1)),
    field String CODEC(ZSTD(1)),
    component LowCardinality(String),
    host LowCardinality(String),
    first_seen DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    seen DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    count UInt32 CODEC(T64, ZSTD(1)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toDate(ts)
ORDER BY (namespace, kind, name, ts)
TTL toDateTime(ts) + toIntervalDay(${ttl_days}) DELETE
SETTINGS ttl_only_drop_parts = 1, ${dedup_window};

CREATE TABLE IF NOT EXISTS ${db}.objects${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    resource LowCardinality(String),
    type LowCardinality(String),
    namespace LowCardinality(String),
    name String CODEC(ZSTD(1)),
    uid String CODEC(ZSTD(1)),
    resource_version String CODEC(ZSTD(1)),
    document String CODEC(ZSTD(3)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toDate(ts)
ORDER BY (resource, namespace, name, ts)
TTL toDateTime(ts) + toIntervalDay(${ttl_days}) DELETE
SETTINGS ttl_only_drop_parts = 1, ${dedup_window};

CREATE TABLE IF NOT EXISTS ${db}.signals${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    pattern LowCardinality(String),
    node LowCardinality(String),
    program LowCardinality(String),
    namespace LowCardinality(String),
    pod LowCardinality(String),
    pod_uid LowCardinality(String),
    container LowCardinality(String),
    fields String CODEC(ZSTD(1)),
    line String CODEC(ZSTD(1)),
    file_id UInt64 CODEC(ZSTD(1)),
    off UInt64 CODEC(ZSTD(1)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toDate(ts)
ORDER BY (pattern, node, ts)
TTL toDateTime(ts) + toIntervalDay(${ttl_days}) DELETE
SETTINGS ttl_only_drop_parts = 1, ${dedup_window};

-- cluster: all rows of one state processor are on the shard that it inserts into
CREATE TABLE IF NOT EXISTS ${db}.node_samples${on_cluster} AS ${db}.node_samples${local}
ENGINE = Distributed('${cluster}', ${db}, node_samples${local}, kp);

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.k8s_events${on_cluster} AS ${db}.k8s_events${local}
ENGINE = Distributed('${cluster}', ${db}, k8s_events${local}, kp);

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.objects${on_cluster} AS ${db}.objects${local}
ENGINE = Distributed('${cluster}', ${db}, objects${local}, kp);

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.signals${on_cluster} AS ${db}.signals${local}
ENGINE = Distributed('${cluster}', ${db}, signals${local}, kp);
