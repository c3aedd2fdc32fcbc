"""Log configurations on the real engine: what is queried afterwards, and what the audit says."""

import io
import json
from collections.abc import Iterator

import pytest

from pipeline.audit import audit
from pipeline.console.cost import run_cost
from pipeline.contract.configs import ConfigVersion, encode_config
from pipeline.contract.record import FileEnd, FileOpen, Source, encode_headers
from pipeline.contract.topics import CONFIGS, LOGS
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.migrate import migrate
from tests.pipeline.stages.feed import chunks_of
from tests.pipeline.store.running import Running, changed
from tests.pipeline.test_logs_embedded import NOW_NS, Pipe

SOURCE = Source("node-1", "shop", "web-1", "uid-c", "main", 0, "/var/log/pods/x/main/0.log")
SPEC = {
    "excludeLines": ["healthz"],
    "redact": {"presets": ["email"]},
    "sample": {"rate": 0.2},
    "parse": {"format": "regex", "pattern": r"^(?P<level>[a-z]+) code=(?P<code>\d+)"},
    "attributes": {"team": "支付"},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    running = Running(tmp_path_factory.mktemp("configs") / "data").start()
    config = changed(running.config, database="configs")
    opened = open_store(config)
    migrate(opened, config)
    opened.check()
    yield opened
    opened.close()
    running.stop()


def line(number: int) -> bytes:
    text = "GET /healthz" if number % 4 == 0 else f"info code={number} from a@b.example.com"
    if number % 50 == 1:
        text = f"error code={number}"
    return f"2026-11-23T05:35:{number % 60:02d}.1Z stdout F {text}\n".encode()


def test_what_is_stored_adds_up_with_what_is_shed(store: ClickHouseStore) -> None:
    pipe = Pipe(store)
    thing = {"kind": "LogConfig", "metadata": {"name": "c", "namespace": "shop"}, "spec": SPEC}
    version = ConfigVersion("c1", 1, 0, object=thing)
    pipe.send(CONFIGS, version.key, encode_config(version))
    data = b"".join(map(line, range(1000)))
    pipe.send(
        LOGS, SOURCE.key, b"", encode_headers(FileOpen(SOURCE, 5, "open", "cri", NOW_NS // 10**6))
    )
    for event, raw in chunks_of(data, list(range(0, len(data), 7000)), file_id=5, source=SOURCE):
        pipe.send(LOGS, SOURCE.key, raw, encode_headers(event))
    ended = FileEnd(SOURCE, 5, "end", len(data), "deleted", exact=True, seen_ms=NOW_NS // 10**6)
    pipe.send(LOGS, SOURCE.key, b"", encode_headers(ended))
    processor = pipe.processor()
    pipe.drain(processor)
    processor.step(2.0)
    processor.close()

    errors, info, team, stands = store.query(
        "SELECT countIf(level = 'error'), countIf(level = 'info'), groupUniqArray(attrs['team']),"
        " sum(weight) FROM logs WHERE file_id = 5"
    ).rows[0]
    assert errors == 20
    assert 60 < info < 220
    assert team == ["支付"]
    assert stands == pytest.approx(750, rel=0.25)
    assert store.query("SELECT count() FROM logs WHERE position(body, '@') > 0").rows == [(0,)]
    codes = store.query("SELECT count() FROM logs WHERE attrs['code'] = '' AND file_id = 5").rows
    assert codes == [(0,)]
    assert store.query("SELECT sum(rows) FROM shed WHERE reason = 'filtered'").rows == [(250,)]
    (file,) = audit(store, database="configs", since_ns=0, clock=pipe.clock).files
    assert (file.verdict, file.stored + file.shed) == ("complete", len(data))
    assert set(file.shed_reasons) == {"filtered", "sampled"}


def test_cost_says_who_writes_how_much(store: ClickHouseStore) -> None:
    """After the test above."""
    out = io.StringIO()
    run_cost(store, out, by="workload", since_ns=0, limit=10, as_json=True)
    (row,) = json.loads(out.getvalue())
    assert row["namespace"] == "shop"
    assert row["written_lines"] == 1000
    assert row["stored_bytes"] + row["shed_bytes"] == sum(len(line(n)) for n in range(1000))
    assert row["shed"].keys() == {"filtered", "sampled"}
    out = io.StringIO()
    run_cost(store, out, by="template", since_ns=0, limit=10, as_json=True)
    templates = json.loads(out.getvalue())
    assert templates[0]["template"] == "info code=# from [redacted:email]"
    assert templates[0]["lines"] == pytest.approx(730, rel=0.25)
    out = io.StringIO()
    run_cost(store, out, by="namespace", since_ns=0, limit=10, as_json=False)
    assert "shop" in out.getvalue()
