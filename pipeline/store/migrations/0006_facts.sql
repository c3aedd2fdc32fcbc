-- What the folds conclude. Small, and kept longer than what they conclude it from, for comparison
-- with last quarter. `facts` has every version of everything; `episodes` has the latest version of
-- each incident: read it with FINAL.

CREATE TABLE IF NOT EXISTS ${db}.facts${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    kind LowCardinality(String),
    entity String CODEC(ZSTD(1)),
    id String CODEC(ZSTD(1)),
    body String CODEC(ZSTD(3)),
    machine LowCardinality(String) DEFAULT JSONExtractString(
        if(kind = 'transition', body, ''), 'machine'),
    from_state LowCardinality(String) DEFAULT JSONExtractString(
        if(kind = 'transition', body, ''), 'from'),
    to_state LowCardinality(String) DEFAULT JSONExtractString(
        if(kind = 'transition', body, ''), 'to'),
    reason String DEFAULT JSONExtractString(
        if(kind = 'transition', body, ''), 'reason') CODEC(ZSTD(1)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (kind, entity, ts)
TTL toDateTime(ts) + toIntervalDay(${rollup_days}) DELETE
SETTINGS ${dedup_window};

CREATE TABLE IF NOT EXISTS ${db}.episodes${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    id String CODEC(ZSTD(1)),
    version UInt32,
    entity String CODEC(ZSTD(1)),
    body String CODEC(ZSTD(3)),
    status LowCardinality(String) DEFAULT JSONExtractString(body, 'status'),
    cause LowCardinality(String) DEFAULT JSONExtractString(body, 'cause'),
    verdict LowCardinality(String) DEFAULT JSONExtractString(body, 'verdict'),
    confidence LowCardinality(String) DEFAULT JSONExtractString(body, 'confidence'),
    title String DEFAULT JSONExtractString(body, 'title') CODEC(ZSTD(1)),
    summary String DEFAULT JSONExtractString(body, 'summary') CODEC(ZSTD(1)),
    opened_at DateTime64(3, 'UTC') DEFAULT fromUnixTimestamp64Milli(
        JSONExtractInt(body, 'opened_at'), 'UTC'),
    detected_at DateTime64(3, 'UTC') DEFAULT fromUnixTimestamp64Milli(
        JSONExtractInt(body, 'detected_at'), 'UTC'),
    closed_at Nullable(DateTime64(3, 'UTC')) DEFAULT if(
        JSONExtractInt(body, 'closed_at') = 0, NULL,
        fromUnixTimestamp64Milli(JSONExtractInt(body, 'closed_at'), 'UTC')),
    evidence String DEFAULT JSONExtractRaw(body, 'evidence') CODEC(ZSTD(3)),
    candidates String DEFAULT JSONExtractRaw(body, 'candidates') CODEC(ZSTD(3)),
    affected Array(String) DEFAULT JSONExtract(body, 'affected', 'Array(String)') CODEC(ZSTD(1)),
    merged_into String DEFAULT JSONExtractString(body, 'merged_into') CODEC(ZSTD(1)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY id
TTL toDateTime(ts) + toIntervalDay(${rollup_days}) DELETE
SETTINGS ${dedup_window};

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.facts${on_cluster} AS ${db}.facts${local}
ENGINE = Distributed('${cluster}', ${db}, facts${local}, kp);

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.episodes${on_cluster} AS ${db}.episodes${local}
ENGINE = Distributed('${cluster}', ${db}, episodes${local}, kp);
