-- Pod versions as recorded; the same version written twice is one row after a merge.

CREATE TABLE IF NOT EXISTS ${db}.pods${local}${on_cluster}
(
    pod_uid String CODEC(ZSTD(1)),
    version UInt64,
    namespace LowCardinality(String),
    pod String CODEC(ZSTD(1)),
    node LowCardinality(String),
    workload LowCardinality(String),
    document String CODEC(ZSTD(1))
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY (pod_uid, version)
SETTINGS ${dedup_window};

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.pods${on_cluster} AS ${db}.pods${local}
ENGINE = Distributed('${cluster}', ${db}, pods${local}, cityHash64(pod_uid));
