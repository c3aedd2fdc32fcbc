-- Log lines. The reader's word for every column is in pipeline/contract/tables.py.
--
-- Computed columns are DEFAULT expressions, so that the engine extracts fields at insert.
-- attrs: extractKeyValuePairs fails for ever on a line with more than 1,000 pairs; 2,990 bytes
-- cannot hold so many. It is slow, so only lines that look like logfmt get to it. Branches of a
-- DEFAULT are all evaluated for all rows: expensive functions are given '' where not wanted.
-- The text indexes are left out of inserts by a setting of the writer and built by merges.

CREATE TABLE IF NOT EXISTS ${db}.logs${local}${on_cluster}
(
    ts DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ts_shift Int64 CODEC(T64, ZSTD(1)),
    tenant LowCardinality(String),
    namespace LowCardinality(String),
    workload LowCardinality(String),
    pod LowCardinality(String),
    pod_uid LowCardinality(String),
    container LowCardinality(String),
    restart UInt32 CODEC(T64, ZSTD(1)),
    node LowCardinality(String),
    stream Enum8('stdout' = 1, 'stderr' = 2) CODEC(ZSTD(1)),
    level LowCardinality(String) DEFAULT transform(
        lower(multiIf(
            attrs['level'] != '', attrs['level'],
            attrs['severity'] != '', attrs['severity'],
            attrs['lvl'] != '', attrs['lvl'],
            attrs['log.level'] != '', attrs['log.level'],
            attrs['log'] != '', JSONExtractString(attrs['log'], 'level'),
            length(attrs) = 32 AND startsWith(body, '{'), coalesce(
                JSONExtract(if(length(attrs) = 32, body, ''), 'level', 'Nullable(String)'),
                JSONExtract(if(length(attrs) = 32, body, ''), 'severity', 'Nullable(String)'),
                JSONExtract(if(length(attrs) = 32, body, ''), 'lvl', 'Nullable(String)'),
                ''),
            length(attrs) > 0 AND startsWith(body, '{'), '',
            match(substring(body, 1, 6), '^[IWEF][0-9]{4} $'), substring(body, 1, 1),
            extract(
                multiIf(
                    length(attrs) > 0 AND startsWith(body, '{'), '',
                    NOT multiSearchAnyCaseInsensitive(
                        substring(body, 1, 240),
                        ['trace', 'debug', 'info', 'notice', 'warn', 'error', 'severe', 'fatal',
                         'critical', 'panic']), '',
                    position(substring(body, 1, 160), '\x1b') = 0, substring(body, 1, 160),
                    replaceRegexpAll(
                        if(position(substring(body, 1, 160), '\x1b') > 0,
                            substring(body, 1, 240), ''),
                        '\x1b\\[[0-9;:]*[A-Za-z]', '')),
                '\\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL|PANIC|trace|debug|info|notice|warn|warning|error|severe|fatal|critical|panic|Trace|Debug|Info|Notice|Warn|Warning|Error|Severe|Fatal|Critical|Panic)(?:[^=\\w]|$)'))),
        ['trace', 'debug', 'info', 'information', 'notice', 'i', 'warn', 'warning', 'w',
         'error', 'err', 'severe', 'e', 'fatal', 'critical', 'crit', 'panic', 'dpanic', 'alert',
         'emergency', 'emerg', 'f', '10', '20', '30', '40', '50', '60'],
        ['trace', 'debug', 'info', 'info', 'info', 'info', 'warn', 'warn', 'warn',
         'error', 'error', 'error', 'error', 'fatal', 'fatal', 'fatal', 'fatal', 'fatal', 'fatal',
         'fatal', 'fatal', 'fatal', 'trace', 'debug', 'info', 'warn', 'error', 'fatal'],
        ''),
    body String CODEC(ZSTD(1)),
    trace_id String DEFAULT multiIf(
        attrs['trace_id'] != '', attrs['trace_id'],
        attrs['traceId'] != '', attrs['traceId'],
        attrs['traceID'] != '', attrs['traceID'],
        attrs['trace.id'] != '', attrs['trace.id'],
        attrs['trace'] != '', JSONExtractString(attrs['trace'], 'id'),
        length(attrs) = 32 AND startsWith(body, '{'), coalesce(
            JSONExtract(if(length(attrs) = 32, body, ''), 'trace_id', 'Nullable(String)'),
            JSONExtract(if(length(attrs) = 32, body, ''), 'traceId', 'Nullable(String)'),
            JSONExtract(if(length(attrs) = 32, body, ''), 'traceID', 'Nullable(String)'),
            ''),
        '') CODEC(ZSTD(1)),
    attrs Map(LowCardinality(String), String) DEFAULT CAST(
        arrayMap(
            p -> (substring(p.1, 1, 256),
                  if(length(p.2) > 1024, toValidUTF8(substring(p.2, 1, 1021)), p.2)),
            arraySlice(
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
                        'Array(Tuple(String, String))')),
                1, 32)),
        'Map(LowCardinality(String), String)') CODEC(ZSTD(1)),
    file_id UInt64 CODEC(ZSTD(1)),
    off UInt64 CODEC(Delta(8), ZSTD(1)),
    nbytes UInt32 CODEC(T64, ZSTD(1)),
    interleaved UInt32 CODEC(T64, ZSTD(1)),
    kp UInt16 CODEC(ZSTD(1)),
    ko UInt64 CODEC(Delta(8), ZSTD(1)),
    enriched UInt8 CODEC(ZSTD(1)),
    flags UInt8 CODEC(ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    attr_items Array(String) ALIAS arrayMap(
        p -> concat(p.1, '=', p.2), CAST(attrs, 'Array(Tuple(String, String))')),
    INDEX ix_body lower(body) TYPE text(tokenizer = 'splitByNonAlpha'),
    INDEX ix_items attr_items TYPE text(tokenizer = 'array'),
    INDEX ix_trace trace_id TYPE text(tokenizer = 'array'),
    INDEX ix_ko ko TYPE minmax GRANULARITY 1,
    INDEX ix_file file_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ${replicated}MergeTree
PARTITION BY toDate(ts)
ORDER BY (toStartOfFiveMinutes(ts), namespace, workload, pod, ts)
TTL toDateTime(ts) + toIntervalDay(${ttl_days}) DELETE
SETTINGS ttl_only_drop_parts = 1, ${dedup_window};

-- cluster: reads go to all shards, inserts to the local table of the shard that owns a partition
CREATE TABLE IF NOT EXISTS ${db}.logs${on_cluster} AS ${db}.logs${local}
ENGINE = Distributed('${cluster}', ${db}, logs${local}, kp);
