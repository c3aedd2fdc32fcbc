-- Logfmt: a value may have quotes in it (msg="open \"/x\"" err=…). extractKeyValuePairs ends the value at the first
-- of them and loses every pair behind it. Its brother WithEscaping reads \t of C:\temp as a tab and drops a pair with
-- \x in it, so quotes are hidden from the former instead, \\ before them, and put back. All else stays as it was.

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
                        arrayMap(
                            p -> (replaceAll(replaceAll(p.1, '\x01\x02', '\\\\'), '\x01\x03', '\\"'),
                                  replaceAll(replaceAll(p.2, '\x01\x02', '\\\\'), '\x01\x03', '"')),
                            CAST(
                                extractKeyValuePairs(
                                    replaceAll(replaceAll(
                                        if(NOT startsWith(body, '{')
                                            AND (match(body, '^[A-Za-z_][A-Za-z0-9_.@/-]*=')
                                            OR multiSearchAny(
                                                substring(body, 1, 256),
                                                [' level=', ' lvl=', ' severity=', ' time=', ' ts='])),
                                            substring(body, 1, 2990), ''),
                                        '\\\\', '\x01\x02'), '\\"', '\x01\x03'),
                                    '=', ' ', '"'),
                                'Array(Tuple(String, String))'))))),
            1, 32)),
    'Map(LowCardinality(String), String)') CODEC(ZSTD(1));
