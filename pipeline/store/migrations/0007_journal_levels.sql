-- Column level: where the body says none, what the line's carrier said (journald's priority), from
-- the three upper bits of flags. The expression is the one of 0001_logs.sql but for its last part.

ALTER TABLE ${db}.logs${local}${on_cluster} MODIFY COLUMN level LowCardinality(String) DEFAULT transform(
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
    arrayElement(
        ['', 'debug', 'info', 'warn', 'error', 'fatal'], bitShiftRight(flags, 5) + 1));
