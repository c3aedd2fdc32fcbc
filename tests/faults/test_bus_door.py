"""A small cluster: bus and store in one process group, a collector elsewhere; everything on the
side of the bus dies at once, twice, and comes again."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pipeline.base.ports import free_port
from pipeline.store.embedded.locate import endpoint
from tests.journeys.command import SECOND, count, run, wait_for
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
