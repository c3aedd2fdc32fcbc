"""One directory of `kubeledger up`, and what people do to it: a record nobody understands, a
second start, tables altered by hand, another number of partitions."""

import json
from pathlib import Path

import pytest
import yaml

from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.contract.topics import LOGS
from pipeline.store.clickhouse import open_store
from pipeline.store.embedded.locate import opened
from tests.journeys.command import SECOND, count, query, run, serving, up, wait_for

UID = "0a1b2c3d-0000-4000-8000-000000000001"
LINE = f"{SECOND}.371688788Z stdout F line\n".encode()
ALTERED = (
    ("ALTER TABLE logs DROP COLUMN restart", "ALTER TABLE logs ADD COLUMN restart UInt32",
     ("logs", "restart")),
    ("ALTER TABLE files MODIFY COLUMN size Int32", "ALTER TABLE files MODIFY COLUMN size UInt64",
     ("files", "size", "Int32", "UInt64")),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that was `up`, with ten lines and one record of a version that does not
    exist."""
    home = tmp_path_factory.mktemp("up")
    folder = home / "pods" / f"shop_web_{UID}" / "main"
    folder.mkdir(parents=True)
    (folder / "0.log").write_bytes(LINE * 10)
    data = home / "data"
    with up("--logs", home / "pods", "--data", data):
        wait_for(lambda: serving(data), "the store")
        wait_for(lambda: count(data) == 10, "the lines")
        strange(data)
        wait_for(lambda: letters(data) == {"unknown-version"}, "the dead letter")
        append(folder, LINE)
        wait_for(lambda: count(data) == 11, "what came behind it")
        constrained(data, folder)
        twice(data, home)
    return data


def strange(data: Path) -> None:
    broker = open_broker(BrokerConfig(url=f"sqlite:{data / 'bus.db'}"))
    producer = broker.producer()
    sent = producer.send(
        LOGS, key=UID.encode(), value=b"?", headers=(("v", b"99"), ("kind", b"chunk"))
    )
    sent.result(60)
    producer.close(60)
    broker.close()


def letters(data: Path) -> set[str]:
    return {row["reason"] for row in query(data, "SELECT DISTINCT reason FROM dead_letters")}


def append(folder: Path, text: bytes) -> None:
    with (folder / "0.log").open("ab") as out:
        out.write(text)


def constrained(data: Path, folder: Path) -> None:
    """Somebody adds a constraint: rows that it refuses are put aside by name, the others are
    stored, and when it is gone again `replay dead` brings them back."""
    with opened(data / "store") as settings:
        store = open_store(settings)
        store.query("SELECT 1")
        store.command("ALTER TABLE logs ADD CONSTRAINT short CHECK length(body) < 9")
        append(folder, LINE + LINE.replace(b"line", b"much longer line") + LINE)
        wait_for(lambda: count(data) == 13, "the rows that fit")
        wait_for(lambda: "row-refused" in letters(data), "the row that does not")
        assert json.loads(run("audit", "--data", data, "--json"))["ok"] is True
        store.command("ALTER TABLE logs DROP CONSTRAINT short")
        store.close()
    said = run("replay", "dead", "--config", data / "config" / "process-logs.yaml",
               "--reason", "row-refused")  # fmt: skip
    assert "row-refused: 1 put back" in said
    wait_for(lambda: count(data, "body = 'much longer line'") == 1, "what was put back")


def twice(data: Path, home: Path) -> None:
    """Nobody else may use what is in use."""
    said = run("store", "--data", data / "store", "--listen", "127.0.0.1:0", code=2)
    assert str(data / "store") in said
    assert "in use" in said or "another" in said
    said = run("up", "--logs", home / "pods", "--data", data, code=2)
    assert f"{data}: another `kubeledger up`" in said
    assert "stop it, or give another with --data" in said


def test_a_record_of_an_unknown_version_is_a_dead_letter(data: Path) -> None:
    (row,) = query(data, "SELECT detail FROM dead_letters WHERE reason = 'unknown-version'")
    assert "99" in row["detail"]
    document = json.loads(run("audit", "--data", data, "--json"))
    assert (document["ok"], document["rows"], document["gap_bytes"]) == (True, 14, 0)


def config(path: Path, data: Path, **more: object) -> Path:
    document = {"broker": {"url": f"sqlite:{data / 'bus.db'}"}, **more}
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(("alter", "back", "words"), ALTERED, ids=("column", "type"))
def test_a_table_altered_by_hand(
    data: Path, tmp_path: Path, alter: str, back: str, words: tuple[str, ...]
) -> None:
    with opened(data / "store") as settings:
        store = open_store(settings)
        store.query("SELECT 1")
        store.command(alter)
        place = {"host": settings.host, "port": settings.port}
        try:
            migrating = config(tmp_path / "migrate.yaml", data, partitions=2, store=place)
            processing = config(
                tmp_path / "process-logs.yaml", data, store=place, health="127.0.0.1:0"
            )
            for command in (
                ("migrate", "--check", "--config", migrating),
                ("process", "logs", "--config", processing),
            ):
                said = run(*command, code=1)
                assert all(word in said for word in words), said
        finally:
            store.command(back)
            store.close()


def test_another_number_of_partitions(data: Path, tmp_path: Path) -> None:
    with opened(data / "store") as settings:
        place = {"host": settings.host, "port": settings.port}
        other = config(tmp_path / "migrate.yaml", data, partitions=5, store=place)
        said = run("migrate", "--config", other, code=1)
    assert LOGS in said
    assert "partitions" in said
    assert "5" in said


@pytest.mark.parametrize(
    ("service", "text", "words"),
    [
        (
            "collect",
            "roots: /var/log/pods\nreading: {sweep_s: often}",
            ("reading.sweep_s", "often"),
        ),
        ("collect", "limits: {unacked_byte: 1}", ("limits.unacked_byte", "unacked_bytes")),
        ("process-logs", "batch: {rows: -1}", ("batch.rows", "-1")),
        ("process-logs", "broker: {url: 'kafka:/broken'}", ("broker.url", "kafka:/broken")),
        ("migrate", "partitions: many", ("partitions", "many")),
    ],
)
def test_configuration_that_cannot_be_meant(
    tmp_path: Path, service: str, text: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / f"{service}.yaml"
    path.write_text(text)
    said = run(*service.split("-"), "--config", path, code=2)
    assert all(word in said for word in words), said
