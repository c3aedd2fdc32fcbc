"""Every decoder of foreign bytes, fed with what nobody should send: it gives a value or raises the
one error that it declares, and takes memory in proportion to what really came.

| what comes                         | where it is fuzzed |
| --- | --- |
| CRI, docker, plain files           | tests/pipeline/stages/test_any_bytes.py, test_refine.py |
| chunk envelopes                    | there; bombs here, test_records.py |
| log lines, journal lines           | tests/pipeline/stages/test_logline.py; test_journal.py here |
| Fluent forward                     | tests/collectors/forward/test_message.py |
| the runtime's CRI answers          | tests/collectors/node/blackbox/test_wire.py |
| kubelet: metrics, stats, pods, …   | test_kubelet.py |
| watch streams, lists, Leases       | test_watch.py |
| state events, facts, alerts, pods  | test_records.py |
| native protocol, both sides; HTTP  | test_native.py |
| the door of an embedded bus        | test_door.py |
| journalctl's JSON                  | test_journal.py |
| recordings, capsules | test_files.py |
| foreign log configurations         | test_wishes.py |
"""
