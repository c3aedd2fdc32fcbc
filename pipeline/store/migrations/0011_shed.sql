-- Lines that are not stored by the wish of their configuration, counted by file and reason, and what
-- a stored line stands for. The account of `kubeledger audit` adds them to what is stored.
--
-- logs.fields: what the log processor read from a line by a configuration (regex, klog, nginx) and
-- constant fields, a JSON object or nothing. Column attrs is what the engine extracts itself, as in
-- 0001_logs.sql, with these on top.

CREATE TABLE IF NOT EXISTS ${db}.shed${local}${on_cluster}
(
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    file_id UInt64,
    node LowCardinality(String),
    namespace LowCardinality(String),
    workload LowCardinality(String),
    pod LowCardinality(String),
    pod_uid LowCardinality(String),
    container LowCardinality(String),
    restart UInt32,
    path String CODEC(ZSTD(1)),
    reason LowCardinality(String),
    rows UInt64 CODEC(T64, ZSTD(1)),
    bytes UInt64 CODEC(T64, ZSTD(1)),
    low UInt64 CODEC(ZSTD(1)),
    high UInt64 CODEC(ZSTD(1)),
    kp UInt16,
    ko UInt64
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY file_id
TTL toDateTime(ts) + toIntervalDay(${ledger_days}) DELETE
SETTINGS ${dedup_window};

-- cluster:
CREATE TABLE IF NOT EXISTS ${db}.shed${on_cluster} AS ${db}.shed${local}
ENGINE = Distributed('${cluster}', ${db}, shed${local}, kp);

ALTER TABLE ${db}.logs${local}${on_cluster}
    ADD COLUMN IF NOT EXISTS weight Float32 DEFAULT 1 CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS fields String DEFAULT '' CODEC(ZSTD(1));

-- cluster:
ALTER TABLE ${db}.logs${on_cluster}
    ADD COLUMN IF NOT EXISTS weight Float32 DEFAULT 1,
    ADD COLUMN IF NOT EXISTS fields String DEFAULT '';

ALTER TABLE ${db}.logs${local}${on_cluster} MODIFY COLUMN attrs Map(LowCardinality(String), String) DEFAULT CAST(
    arrayMap(
        p -> (substring(p.1, 1, 256),
              if(length(p.2) > 1024, toValidUTF8(substring(p.2, 1, 1021)), p.2)),
        arraySlice(
            arrayConcat(
                if(fields != '', JSONExtractKeysAndValues(fields, 'String'), []),
                arrayFilter(
                    q -> fields = '' OR NOT JSONHas(fields, q.1),
                    if(startsWith(body, '{'),
                        JSONExtractKeysAndValues(if(startsWith(body, '{'), body, ''), 'String'),
                        CAST(
                            extractKeyValuePairs(
                                if(NOT startsWith(body, '{')
                                    AND (match(body, '^[A-Za-z_][A-Za-z0-9_.@/-]*=') OR multiSearchAny(
                                        substring(body, 1, 256),
                                        [' level=', ' lvl=', ' severity=', ' time=', ' ts='])),
                                    substring(body, 1, 2990), ''),
                                '=', ' ', '"'),
                            'Array(Tuple(String, String))')))),
            1, 32)),
    'Map(LowCardinality(String), String)') CODEC(ZSTD(1));
