"""`kubeledger collect` as it is deployed, beside an HTTPS kubelet: its samples are on the bus."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import TopicPartition
from pipeline.contract import state
from pipeline.contract.state import StateEvent, decode_state
from pipeline.contract.topics import STATE, topic_specs
from tests.collectors.kubelet.server import KubeletServer, Route
from tests.collectors.node.bodies import body

WANTED = {state.METRICS, state.HEALTHZ, state.CONFIGZ, state.STATS, state.HOST, state.GROWTH}


def test_samples_of_a_running_agent(
    server: KubeletServer, certificates: tuple[Path, Path], tmp_path: Path
) -> None:
    server.routes = {
        "/metrics": Route(body=body("metrics")),
        "/stats/summary": Route(body=body("stats-summary")),
        "/configz": Route(body=body("configz")),
        "/healthz": Route(body=b"[+]ping ok\n"),
    }
    (tmp_path / "pods").mkdir()
    (tmp_path / "token").write_text("t")
    url = f"sqlite:{tmp_path / 'bus.db'}"
    config = {
        "node": "node-a",
        "cluster": "shop",
        "roots": [str(tmp_path / "pods")],
        "state_dir": str(tmp_path / "state"),
        "broker": {"url": url},
        "health": "",
        "kubelet": {
            "url": server.url, "ca_file": str(certificates[0]),
            "token_file": str(tmp_path / "token"),
        },
        "samples": {"healthz_url": "", "blackbox": {"enabled": False}},
    }  # fmt: skip
    path, log = tmp_path / "collect.yaml", tmp_path / "collect.log"
    path.write_text(yaml.safe_dump(config))
    broker = open_broker(BrokerConfig(url=url))
    try:
        admin = broker.admin()
        admin.ensure(topic_specs(1), create=True)
        admin.close()
        with log.open("wb") as out:
            words = [sys.executable, "-m", "kubeledger", "collect", "--config", str(path)]
            process = subprocess.Popen(words, stdout=out, stderr=out)
        reader = broker.reader()
        reader.assign([TopicPartition(STATE, 0)])
        found: dict[str, StateEvent] = {}
        deadline = time.monotonic() + 120
        try:
            while not found.keys() >= WANTED and time.monotonic() < deadline:
                for record in reader.poll(0.2):
                    assert record.key == b"shop"
                    event = decode_state(record.value or b"")
                    if event.body.get("outcome") == state.OK:
                        found[event.body["part"]] = event
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
            reader.close()
    finally:
        broker.close()
    assert found.keys() >= WANTED, log.read_text()
    assert found[state.METRICS].body["values"]["version"] == "v1.34.4"
    assert found[state.HOST].body["values"]["uptime_s"] > 0
    assert {event.by for event in found.values()} == {"node-a"}
    assert "Traceback" not in log.read_text()
