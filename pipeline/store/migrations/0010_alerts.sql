-- Alerts: the latest version of each time that an alert began. Read it with FINAL. A fingerprint
-- that fires again has another `since`. kp and ko are of kubeledger.alerts.

CREATE TABLE IF NOT EXISTS ${db}.alerts${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    cluster LowCardinality(String),
    fingerprint String CODEC(ZSTD(1)),
    since DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    version UInt32,
    body String CODEC(ZSTD(3)),
    rule LowCardinality(String) DEFAULT JSONExtractString(body, 'rule'),
    severity LowCardinality(String) DEFAULT JSONExtractString(body, 'severity'),
    entity String DEFAULT JSONExtractString(body, 'entity') CODEC(ZSTD(1)),
    status LowCardinality(String) DEFAULT JSONExtractString(body, 'status'),
    starts_at DateTime64(3, 'UTC') DEFAULT fromUnixTimestamp64Milli(
        JSONExtractInt(body, 'starts_at'), 'UTC'),
    ends_at Nullable(DateTime64(3, 'UTC')) DEFAULT if(
        JSONExtractInt(body, 'ends_at') = 0, NULL,
        fromUnixTimestamp64Milli(JSONExtractInt(body, 'ends_at'), 'UTC')),
    labels Map(String, String) DEFAULT JSONExtract(body, 'labels', 'Map(String, String)'),
    summary String DEFAULT JSONExtractString(body, 'summary') CODEC(ZSTD(1)),
    cause LowCardinality(String) DEFAULT JSONExtractString(body, 'cause'),
    episode String DEFAULT JSONExtractString(body, 'episode') CODEC(ZSTD(1)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY (fingerprint, since)
TTL toDateTime(ts) + toIntervalDay(${rollup_days}) DELETE
SETTINGS ${dedup_window};

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.alerts${on_cluster} AS ${db}.alerts${local}
ENGINE = Distributed('${cluster}', ${db}, alerts${local}, kp);
