"""Classes of retention on the real engine: what a LogConfig asks for is in the rows, and the engine
deletes by it."""

from pathlib import Path

from pipeline.contract.configs import ConfigVersion, encode_config
from pipeline.contract.record import Source, encode_headers
from pipeline.contract.topics import CONFIGS, LOGS
from pipeline.store.clickhouse import open_store
from pipeline.store.migrate import migrate
from tests.pipeline.stages.feed import chunks_of
from tests.pipeline.store.running import Running, changed
from tests.pipeline.test_logs_embedded import Pipe


def test_rows_go_when_their_class_says_so(tmp_path: Path) -> None:
    running = Running(tmp_path / "data").start()
    config = changed(running.config, database="kept", ttl_days=14)
    store = open_store(config)
    try:
        migrate(store, config)
        store.check()
        now = store.query("SELECT toUnixTimestamp(now()) AS t").rows[0][0]
        pipe = Pipe(store)
        pipe.clock.advance(now - pipe.clock.wall_ns() / 1e9)
        for name in ("short", "long"):
            spec = {"selector": {"containers": [name]}, "retention": name}
            thing = {"kind": "LogConfig", "metadata": {"name": name, "namespace": "shop"}}
            version = ConfigVersion(name, 1, 0, object={**thing, "spec": spec})
            pipe.send(CONFIGS, version.key, encode_config(version))
        when = store.query("SELECT formatDateTime(now() - INTERVAL 5 DAY, '%FT%T')").rows[0][0]
        data = f"{when}.1Z stdout F line\n".encode() * 5
        for file_id, name in enumerate(("short", "long", "standard"), 1):
            source = Source("n", "shop", "web", "uid-w", name, 0, f"/{name}/0.log")
            for event, raw in chunks_of(data, [0], file_id=file_id, source=source):
                pipe.send(LOGS, source.key, raw, encode_headers(event))
        processor = pipe.processor()
        pipe.drain(processor)
        processor.close()
        kept = "SELECT container, retention, count() FROM logs GROUP BY ALL ORDER BY ALL"
        assert store.query("SELECT file_id, sum(bytes) FROM expiring GROUP BY 1").rows == [
            (1, len(data))
        ]
        store.command("OPTIMIZE TABLE logs FINAL")  # the engine may have done so already
        assert store.query(kept).rows == [("long", "long", 5), ("standard", "", 5)]
    finally:
        store.close()
        running.stop()
