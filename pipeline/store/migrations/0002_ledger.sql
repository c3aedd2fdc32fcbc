-- What the collectors said about files, and what could not be processed: the other side of the
-- account that `kubeledger audit` draws up. Kept a week longer than the rows they speak of.

CREATE TABLE IF NOT EXISTS ${db}.files${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    event Enum8('open' = 1, 'end' = 2),
    file_id UInt64,
    node LowCardinality(String),
    namespace LowCardinality(String),
    pod LowCardinality(String),
    pod_uid LowCardinality(String),
    container LowCardinality(String),
    restart UInt32,
    path String CODEC(ZSTD(1)),
    size UInt64,
    reason LowCardinality(String),
    exact UInt8,
    kp UInt16,
    ko UInt64
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY file_id
TTL toDateTime(ts) + toIntervalDay(${ledger_days}) DELETE
SETTINGS ${dedup_window};

CREATE TABLE IF NOT EXISTS ${db}.gaps${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    file_id UInt64,
    node LowCardinality(String),
    namespace LowCardinality(String),
    pod LowCardinality(String),
    pod_uid LowCardinality(String),
    container LowCardinality(String),
    restart UInt32,
    path String CODEC(ZSTD(1)),
    start UInt64,
    stop UInt64,
    reason LowCardinality(String),
    exact UInt8,
    kp UInt16,
    ko UInt64
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY file_id
TTL toDateTime(ts) + toIntervalDay(${ledger_days}) DELETE
SETTINGS ${dedup_window};

CREATE TABLE IF NOT EXISTS ${db}.dead_letters${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    id String,
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    file_id UInt64,
    off UInt64,
    nbytes UInt32,
    kp UInt16,
    ko UInt64
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY file_id
TTL toDateTime(ts) + toIntervalDay(${ledger_days}) DELETE
SETTINGS ${dedup_window};

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.files${on_cluster} AS ${db}.files${local}
ENGINE = Distributed('${cluster}', ${db}, files${local}, kp);

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.gaps${on_cluster} AS ${db}.gaps${local}
ENGINE = Distributed('${cluster}', ${db}, gaps${local}, kp);

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.dead_letters${on_cluster} AS ${db}.dead_letters${local}
ENGINE = Distributed('${cluster}', ${db}, dead_letters${local}, kp);
