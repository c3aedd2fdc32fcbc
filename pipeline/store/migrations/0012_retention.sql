-- How long rows are kept, by the class that a configuration gives them: short, long, or nothing.
--
-- Rows of a class that were written on one day expire at one moment, so that parts of one class are
-- dropped whole. A part of several classes is written again without the rows that expired, so
-- ttl_only_drop_parts must go.
--
-- expiring: what of a file is stored for a short time. `kubeledger audit` does not miss it afterwards.

ALTER TABLE ${db}.logs${local}${on_cluster}
    ADD COLUMN IF NOT EXISTS retention LowCardinality(String) DEFAULT '' CODEC(ZSTD(1));

-- cluster:
ALTER TABLE ${db}.logs${on_cluster}
    ADD COLUMN IF NOT EXISTS retention LowCardinality(String) DEFAULT '';

ALTER TABLE ${db}.logs${local}${on_cluster} MODIFY SETTING ttl_only_drop_parts = 0;

ALTER TABLE ${db}.logs${local}${on_cluster} MODIFY TTL toDate(ts) + toIntervalDay(1 + multiIf(retention = 'short', ${short_days}, retention = 'long', ${long_days}, ${ttl_days}));

CREATE TABLE IF NOT EXISTS ${db}.expiring${local}${on_cluster}
(
    day Date CODEC(Delta(2), ZSTD(1)),
    file_id UInt64,
    retention LowCardinality(String),
    rows UInt64 CODEC(T64, ZSTD(1)),
    bytes UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = ${replicated}SummingMergeTree((rows, bytes))
PARTITION BY toYYYYMM(day)
ORDER BY (file_id, day, retention)
TTL day + toIntervalDay(${ledger_days}) DELETE
SETTINGS ${dedup_window};

CREATE MATERIALIZED VIEW IF NOT EXISTS ${db}.expiring_view${local}${on_cluster}
TO ${db}.expiring${local}
AS SELECT
    toDate(ts) AS day,
    file_id,
    retention,
    count() AS rows,
    sum(nbytes) AS bytes
FROM ${db}.logs${local}
WHERE retention = 'short'
GROUP BY day, file_id, retention;

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.expiring${on_cluster} AS ${db}.expiring${local}
ENGINE = Distributed('${cluster}', ${db}, expiring${local}, rand());
