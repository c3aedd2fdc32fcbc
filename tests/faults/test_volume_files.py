"""A file in a pod's volume through the whole pipeline: wished by a LogConfig, rotated, the
collector killed in between; then queried by pod, container and path, and audited."""

import json
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.clock import SystemClock
from pipeline.broker.open import open_broker
from pipeline.console.embedded import COLLECT, EmbeddedPipeline, Inputs
from pipeline.console.up import drain
from pipeline.contract.configs import ConfigVersion, encode_config
from pipeline.contract.topics import CONFIGS
from pipeline.store.clickhouse import open_store
from tests.journeys.account import account_of
from tests.journeys.command import SECOND

pytestmark = pytest.mark.slow
UID = "0a1b2c3d-0000-4000-8000-000000000001"
MOUNT = {"name": "logs", "mountPath": "/var/log/app"}
POD = {
    "kind": "Pod",
    "metadata": {"name": "web-1", "namespace": "shop", "uid": UID, "labels": {"app": "web"}},
    "spec": {
        "nodeName": "node-a",
        "volumes": [{"name": "logs", "emptyDir": {}}],
        "containers": [{"name": "main", "image": "x", "volumeMounts": [MOUNT]}],
    },
}
SPEC = {
    "selector": {"matchLabels": {"app": "web"}},
    "files": ["/var/log/app/*.log", "/var/log/**/?pp.log", "/var/log/app/*/deep.log"],
    "parse": {"format": "regex", "pattern": r"^(?P<level>\w+) n=(?P<n>\d+)"},
    "redact": {"presets": ["email"]},
}
COUNT = 900
APP = "/var/log/app/app.log"
DEEP = r"/var/log/app/run-\xff/deep.log"  # a name is any bytes


def test_a_file_in_a_volume_from_the_wish_to_the_row(tmp_path: Path) -> None:
    volume = tmp_path / "kubelet" / UID / "volumes/kubernetes.io~empty-dir/logs"
    printed = tmp_path / "pods" / f"shop_web-1_{UID}" / "main"
    for directory in (volume, printed):
        directory.mkdir(parents=True)
    (printed / "0.log").write_text(f"{SECOND}.000000001Z stdout F printed a@b.example\n")
    (tmp_path / "pod.json").write_text(json.dumps(POD))
    (tmp_path / "secret").write_text("info n=999999 root\n")
    (volume / "link.log").symlink_to(tmp_path / "secret")
    deeper = volume / os.fsdecode(b"run-\xff/deep.log")
    deeper.parent.mkdir()
    deeper.write_text("info n=5000 deep\n")
    inputs = Inputs((tmp_path / "pods",), "node-a", pod_files=(tmp_path / "pod.json",))
    settings: Any = {
        "volumes": {"enabled": True, "kubelet_pods": str(tmp_path / "kubelet")},
        "reading": {"sweep_s": 0.5},
    }
    clock = SystemClock()
    with EmbeddedPipeline(
        tmp_path / "data", inputs, clock=clock, settings={COLLECT: settings}
    ) as pipeline:
        _wish(pipeline)
        for number in range(COUNT):
            with (volume / "app.log").open("a") as out:
                out.write(f"info n={number} from a@b.example.com\n")
            if number == COUNT // 3:
                _rows(pipeline, 1)
                (volume / "app.log").rename(volume / "app.log.1")
            if number == COUNT // 2:
                assert pipeline.kill(COLLECT)
                pipeline.check()
        rows = _rows(pipeline, COUNT)
        assert drain(pipeline, clock=clock, timeout_s=60)
        account = account_of(pipeline, clock)
        with closing(open_store(pipeline.store)) as store:
            paths = store.query(
                "SELECT DISTINCT path FROM files WHERE path LIKE 'volume:%' ORDER BY path"
            ).rows
            output = store.query("SELECT body FROM logs WHERE attrs['log.file.path'] = ''").rows
            deep = store.query(
                "SELECT attrs['log.file.path'] FROM logs WHERE attrs['n'] = '5000'"
            ).rows
    assert sorted(int(row[0]) for row in rows) == list(range(COUNT))
    assert {row[1:] for row in rows} == {("info", "main", "shop", "Pod/web-1")}
    assert paths == [(f"volume:{APP}",), (f"volume:{DEEP}",)]
    assert deep == [(DEEP,)]
    assert output == [("printed a@b.example",)], "a wish for files is for them alone"
    assert (account["ok"], account["unexplained"], account["duplicates"]) == (True, 0, 0)
    assert account["gaps"] == 0


def _wish(pipeline: EmbeddedPipeline) -> None:
    thing = {"kind": "LogConfig", "metadata": {"name": "c", "namespace": "shop"}, "spec": SPEC}
    version = ConfigVersion("c1", 1, 0, object=thing)
    broker = open_broker(pipeline.broker)
    producer = broker.producer()
    try:
        producer.send(CONFIGS, key=version.key, value=encode_config(version), headers=())
        assert producer.flush(60)
    finally:
        producer.close(60)
        broker.close()


def _rows(pipeline: EmbeddedPipeline, count: int) -> list[tuple[str, ...]]:
    """Once so many are there."""
    deadline = time.monotonic() + 90
    store = open_store(pipeline.store)
    try:
        while True:
            rows = store.query(
                "SELECT attrs['n'], level, container, namespace, workload FROM logs WHERE pod ="
                " 'web-1' AND attrs['log.file.path'] = '/var/log/app/app.log'"
                " AND position(body, '@') = 0"
            ).rows
            if len(rows) >= count:
                return list(rows)
            assert time.monotonic() < deadline, f"{len(rows)} of {count} rows"
            pipeline.check()
            time.sleep(0.1)
    finally:
        store.close()
