"""A small cluster: bus and store in one process group, a collector elsewhere; everything on the
side of the bus dies at once, twice, and comes again."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.base.ports import free_port
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.contract.configs import ConfigVersion, encode_config
from pipeline.contract.topics import CONFIGS
from pipeline.store.embedded.locate import endpoint
from tests.journeys.command import SECOND, count, query, run, wait_for
from tests.real.authority import self_signed

pytestmark = pytest.mark.slow


def start(*words: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "kubeledger", *map(str, words)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_killed_bus_costs_no_line_and_doubles_none(tmp_path: Path) -> None:
    cert, key = self_signed(tmp_path, "bus", "localhost")
    token = tmp_path / "token"
    token.write_text("only-for-this-test")
    data, port = tmp_path / "data", free_port()
    whole = (
        "up", "--data", data, "--cluster", "small", "--bus-listen", f"127.0.0.1:{port}",
        "--bus-cert", cert, "--bus-key", key, "--bus-token-file", token,
    )  # fmt: skip
    container = tmp_path / "pods" / "ns_app-1_11111111-2222-3333-4444-555555555555" / "main"
    container.mkdir(parents=True)
    settings = {
        "node": "elsewhere",
        "cluster": "small",
        "roots": [str(tmp_path / "pods")],
        "state_dir": str(tmp_path / "state"),
        "health": "",
        "broker": {
            "url": f"kubeledger://localhost:{port}",
            "security": "tls",
            "ca_file": str(cert),
            "password_file": str(token),
        },
    }
    config = tmp_path / "collect.yaml"
    config.write_text(yaml.safe_dump(settings))
    written = 0

    def serving() -> bool:
        return endpoint(data / "store") is not None and (data / "config" / "bus.yaml").exists()

    bus, collector = start(*whole), start("collect", "--config", config)
    try:
        wait_for(serving, "the first start")
        for round_ in range(3):
            with (container / "0.log").open("ab") as out:
                for _ in range(2000):
                    out.write(f"{SECOND}.371688788Z stdout F line {written}\n".encode())
                    written += 1
            if round_ < 2:
                time.sleep(1.0)  # somewhere in the middle
                bus.send_signal(signal.SIGKILL)
                bus.wait()
                bus = start(*whole)
        wait_for(lambda: serving() and count(data) >= written, "all lines")
        assert count(data) == written
        assert count(data, "node = 'elsewhere'") == written
        document = json.loads(run("audit", "--data", data, "--json"))
        assert (document["ok"], document["unexplained"], document["duplicates"]) == (True, 0, 0)
    finally:
        for process in (collector, bus):
            process.terminate()
            process.wait(60)


def test_files_in_volumes_of_another_node(tmp_path: Path) -> None:
    """What a pod wishes by a variable is read there, and what a LogConfig says of it counts: both
    sides learn of it by the bus, one of them through the door."""
    token = tmp_path / "token"
    token.write_text("only-for-this-test")
    data, port, uid = tmp_path / "data", free_port(), "11111111-2222-3333-4444-555555555555"
    logs = tmp_path / "kubelet" / uid / "volumes" / "kubernetes.io~empty-dir" / "logs"
    logs.mkdir(parents=True)
    (tmp_path / "roots").mkdir()
    (tmp_path / "pods.json").write_text(json.dumps({"kind": "PodList", "items": [_pod(uid)]}))
    broker = {"url": f"kubeledger://127.0.0.1:{port}", "password_file": str(token)}
    config = tmp_path / "collect.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "node": "elsewhere",
                "cluster": "small",
                "roots": [str(tmp_path / "roots")],
                "state_dir": str(tmp_path / "state"),
                "health": "",
                "pods": {"files": [str(tmp_path / "pods.json")]},
                "volumes": {"enabled": True, "kubelet_pods": str(tmp_path / "kubelet")},
                "broker": broker,
            }
        )
    )
    words = ("--bus-listen", f"127.0.0.1:{port}", "--bus-token-file", token)
    bus = start("up", "--data", data, "--cluster", "small", *words)
    collector = start("collect", "--config", config)
    try:
        wait_for(lambda: endpoint(data / "store") is not None, "the start")
        producer = open_broker(BrokerConfig(**broker)).producer()
        said = {"files": ["/logs/*.log"], "attributes": {"team": "支付"}}
        meta = {"name": "biz", "namespace": "shop", "uid": "c1", "generation": 1}
        version = ConfigVersion(
            "c1", 1, 0, object={"kind": "LogConfig", "metadata": meta, "spec": said}
        )
        producer.send(CONFIGS, key=b"c1", value=encode_config(version)).result(120)
        producer.close(5)

        def told() -> bool:
            """A line that was read after the LogConfig was known."""
            with (logs / "app.log").open("a") as out:
                out.write("a line\n")
            return count(data, "attrs['team'] = '支付'") > 0

        wait_for(told, "lines of the file")
        [row] = query(
            data,
            "SELECT DISTINCT pod, attrs['logstore'] AS store, attrs['team'] AS team, "
            "attrs['log.file.path'] AS path FROM logs WHERE attrs['team'] != ''",
        )
        assert row == {"pod": "web", "store": "biz", "team": "支付", "path": "/logs/app.log"}
    finally:
        for process in (collector, bus):
            process.terminate()
            process.wait(60)


def _pod(uid: str) -> dict[str, Any]:
    meta = {"name": "web", "namespace": "shop", "uid": uid, "labels": {"app": "web"}}
    container = {
        "name": "main",
        "image": "web:1",
        "env": [{"name": "aliyun_logs_biz", "value": "/logs/*.log"}],
        "volumeMounts": [{"name": "logs", "mountPath": "/logs"}],
    }
    spec = {"containers": [container], "volumes": [{"name": "logs", "emptyDir": {}}]}
    return {"metadata": meta, "spec": {**spec, "nodeName": "elsewhere"}}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--bus-listen", "0.0.0.0:0"), "loopback"),
        (("--bus-token-file", "x"), "--bus-listen"),
    ],
)
def test_settings_that_open_the_door_to_everybody_are_refused(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    more = () if "--bus-token-file" in words else ("--bus-token-file", token)
    found = run("up", "--data", tmp_path / "data", *words, *more, code=2 if more == () else 1)
    assert said in found
