"""Secrets are never told. Every service and command gets planted ones, in files, in the
environment, in URLs and, by mistake, in the configuration itself; every peer fails. None of them
may come back: not in what is printed, in /metrics, in /healthz, or in a command line."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from pipeline.base.ports import free_port
from pipeline.broker.sqlite import SqliteBroker
from pipeline.contract.topics import topic_specs
from tests.real.authority import self_signed

PLANTED = {
    name: f"planted-{number:02}-{name}-9f3c"
    for number, name in enumerate(
        ("sasl", "clickhouse", "kubelet", "kubeconfig", "forward", "login", "door", "slack", "hmac",
         "dingtalk", "robot", "pagerduty", "smtp", "bearer", "userinfo", "grafana", "inline")
    )
}  # fmt: skip


class Plot:
    """Files with secrets, and what was started with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, secret in PLANTED.items():
            (folder / name).write_text(secret + "\n")
        self.cert, self.key = self_signed(folder, "localhost", "localhost")
        self.started: dict[str, subprocess.Popen[bytes]] = {}
        self.health: dict[str, int] = {}
        self.dead = free_port()

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def broker(self) -> dict[str, Any]:
        return {
            "url": f"kafka://127.0.0.1:{self.dead}", "security": "sasl_tls", "username": "u",
            "sasl_mechanism": "PLAIN", "password_file": self.file("sasl"),
        }  # fmt: skip

    def store(self) -> dict[str, Any]:
        return {"port": self.dead, "password_file": self.file("clickhouse")}

    def run(self, name: str, *words: str, config: dict[str, Any] | None = None) -> None:
        arguments = [sys.executable, "-m", "kubeledger", *words]
        if config is not None:
            if name != "client":
                self.health[name] = free_port()
                config = {**config, "health": f"127.0.0.1:{self.health[name]}"}
            path = self.folder / f"{name}.yaml"
            path.write_text(yaml.safe_dump(config))
            arguments += ["--config", str(path)]
        with open(self.folder / f"{name}.out", "wb") as out:
            self.started[name] = subprocess.Popen(
                arguments, stdout=out, stderr=subprocess.STDOUT, cwd=self.folder,
                env={**os.environ, "GRAFANA_TOKEN": PLANTED["grafana"],
                     "SMTP_PASSWORD": PLANTED["smtp"], "HMAC": PLANTED["hmac"],
                     "KUBELEDGER_ALERT_BROKER__PASSWORD_FILE": self.file("sasl")},
            )  # fmt: skip

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.out").read_text("utf-8", "replace")

    def told(self, name: str) -> str:
        """All that can be seen of it from outside."""
        found = [self.said(name)]
        with suppress(OSError):
            command = Path(f"/proc/{self.started[name].pid}/cmdline").read_bytes()
            found.append(command.decode("utf-8", "replace"))
        if name in self.health:
            for path in ("metrics", "healthz"):
                with suppress(urllib3.exceptions.HTTPError):
                    url = f"http://127.0.0.1:{self.health[name]}/{path}"
                    answer = urllib3.request("GET", url, retries=False, timeout=5.0)
                    found.append(answer.data.decode("utf-8", "replace"))
        return "\n".join(found)

    def close(self) -> None:
        for process in self.started.values():
            process.terminate()
        for process in self.started.values():
            try:
                process.wait(60.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def plot(tmp_path: Path) -> Iterator[Plot]:
    made = Plot(tmp_path)
    yield made
    made.close()


def receivers(plot: Plot) -> list[dict[str, Any]]:
    """One of each kind; the heartbeat makes them send at once, to nobody."""
    nobody = f"127.0.0.1:{plot.dead}"
    for name in ("slack", "dingtalk", "robot"):
        path = plot.folder / f"{name}-url"
        path.write_text(f"http://{nobody}/hook?access_token={PLANTED[name]}\n")
    own: list[dict[str, Any]] = [
        {"type": "alertmanager", "urls": [f"http://u:{PLANTED['userinfo']}@{nobody}"],
         "authorization": {"file": plot.file("bearer")}},
        {"type": "slack", "url": {"file": plot.file("slack-url")}},
        {"type": "dingtalk", "url": {"file": plot.file("dingtalk-url")},
         "secret": {"file": plot.file("hmac")}},
        {"type": "wecom", "url": {"file": plot.file("robot-url")}},
        {"type": "feishu", "url": {"file": plot.file("robot-url")},
         "secret": {"file": plot.file("hmac")}},
        {"type": "pagerduty", "routing_key": {"file": plot.file("pagerduty")},
         "url": f"http://{nobody}/enqueue"},
        {"type": "webhook", "url": f"http://u:{PLANTED['userinfo']}@{nobody}/x?key="
         f"{PLANTED['userinfo']}", "secret": {"env": "HMAC"},
         "authorization": {"file": plot.file("bearer")}},
        {"type": "email", "host": "127.0.0.1", "port": plot.dead, "security": "starttls",
         "username": "u", "password": {"env": "SMTP_PASSWORD"}, "sender": "a@b", "to": ["c@d"]},
    ]  # fmt: skip
    return [{"name": one["type"], "heartbeat": True, **one} for one in own]


def start_services(plot: Plot) -> None:
    pods = plot.folder / "pods"
    pods.mkdir()
    plot.run("collect", "collect", config={
        "node": "node-a", "roots": [str(pods)], "state_dir": plot.file("state"),
        "broker": plot.broker(), "journal": {"source": "off"},
        "kubelet": {"url": f"https://127.0.0.1:{plot.dead}", "token_file": plot.file("kubelet")},
        "forward": {"listen": "127.0.0.1:0", "cert_file": str(plot.cert),
                    "key_file": str(plot.key), "shared_key_file": plot.file("forward"),
                    "users": [{"name": "u", "password_file": plot.file("login")}]},
    })  # fmt: skip
    kubeconfig = plot.folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": f"https://127.0.0.1:{plot.dead}"}}],
        "users": [{"name": "u", "user": {"token": PLANTED["kubeconfig"]}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }))  # fmt: skip
    plot.run("watch", "watch", config={
        "broker": plot.broker(), "kubeconfig": str(kubeconfig), "lease": {"enabled": False},
    })  # fmt: skip
    both = {"broker": plot.broker(), "store": plot.store()}
    plot.run("process-logs", "process", "logs", config=both)
    plot.run("process-state", "process", "state", config={**both, "state_dir": plot.file("fold")})
    bus = SqliteBroker(plot.folder / "bus.db")
    admin = bus.admin()
    admin.ensure(topic_specs(1), create=True)
    admin.close()
    own = {"url": f"sqlite:{plot.folder / 'bus.db'}"}
    plot.run("alert", "alert", config={
        "broker": own, "store": plot.store(), "receivers": receivers(plot),
        "retry": {"first_s": 0.1},
    })  # fmt: skip
    plot.run("bus", "bus", config={
        "broker": own, "listen": f"127.0.0.1:{free_port()}", "token_file": plot.file("door"),
        "cert_file": str(plot.cert), "key_file": str(plot.key),
    })  # fmt: skip


MISTAKES: dict[str, dict[str, Any]] = {
    "process-logs": {"broker": {"url": f"kafka://u:{PLANTED['inline']}@kafka:9092", "x": 1},
                     "store": {"password": PLANTED["inline"], "port": "x"}},
    "collect": {"kubelet": {"url": f"u:{PLANTED['inline']}@host", "token": PLANTED["inline"]},
                "forward": {"shared_key_file": [PLANTED["inline"]],
                            "users": [{"name": "u", "password": PLANTED["inline"]}]}},
    "alert": {"receivers": [
        {"name": "a", "type": "slack", "url": f"https://hooks/{PLANTED['inline']}"},
        {"name": "b", "type": "feishu", "url": {"file": "x"}, "secret": PLANTED["inline"]},
        {"name": "c", "type": "webhook", "url": "x", "authorization": f"x {PLANTED['inline']}"},
        {"name": "d", "type": "pagerduty", "routing_key": PLANTED["inline"]},
        {"name": "e", "type": "email", "host": "h", "password": PLANTED["inline"], "sender": "a",
         "to": ["b"]},
        {"name": "f", "type": "webhook", "url": 5, "secret": {"value": PLANTED["inline"]}}]},
    "watch": {"broker": {"url": f"kafka://u:{PLANTED['userinfo']}@127.0.0.1:1"},
              "lease": {"enabled": False}, "health": "127.0.0.1:0"},
    "process-state": {"broker": f"kafka://u:{PLANTED['inline']}@127.0.0.1:1",
                      "store": [{"password": PLANTED["inline"]}]},
    "bus": {"token": PLANTED["inline"], "token_file": [PLANTED["inline"]]},
}  # fmt: skip


def run_commands(plot: Plot) -> None:
    client = {"store": plot.store()}
    plot.run("client", "query", "SELECT 1", config=client)
    nobody = f"127.0.0.1:{plot.dead}"
    plot.run("grafana", "push", "grafana", "--url", f"http://{nobody}", "--clickhouse", nobody,
             "--token-file", plot.file("grafana"),
             "--password-file", plot.file("clickhouse"))  # fmt: skip
    plot.run("grafana-env", "push", "grafana", "--url", f"http://{nobody}")
    migrate = {"broker": plot.broker(), "store": plot.store()}
    path = plot.folder / "migrate.yaml"
    path.write_text(yaml.safe_dump(migrate))
    plot.run("migrate", "migrate", "--config", str(path))
    wrong = plot.folder / "wrong"
    wrong.mkdir()
    for name, content in MISTAKES.items():
        (wrong / f"{name}.yaml").write_text(yaml.safe_dump(content))
    plot.run("check", "check", *(str(wrong / f"{name}.yaml") for name in MISTAKES))
    plot.run("mistaken watch", "watch", "--config", str(wrong / "watch.yaml"))


TROUBLE = {  # what each says once its peers have failed it
    "collect": "ECONNREFUSED", "watch": "watch-failed", "process-logs": "ECONNREFUSED",
    "process-state": "ECONNREFUSED", "alert": "notification.again", "bus": "started",
    "mistaken watch": '"watch"',  # or it ends, where there is no cluster
}  # fmt: skip


@pytest.mark.timeout(500)
def test_no_secret_is_told(plot: Plot) -> None:
    start_services(plot)
    run_commands(plot)
    deadline = time.monotonic() + 300.0
    waiting = set(plot.started)
    while waiting and time.monotonic() < deadline:
        time.sleep(0.2)
        waiting = {
            name
            for name in waiting
            if plot.started[name].poll() is None
            and not (name in TROUBLE and TROUBLE[name] in plot.said(name))
        }
    told = {name: plot.told(name) for name in plot.started}
    plot.close()
    for name in told:
        told[name] += plot.said(name)  # its last words
    leaks = [
        f"{name}: {planted}: …{text[max(text.index(secret) - 150, 0) : text.index(secret) + 40]}…"
        for name, text in told.items()
        for planted, secret in PLANTED.items()
        if secret in text
    ]
    assert not leaks, "\n".join(leaks)
    assert waiting == set(), f"{waiting} said nothing of their trouble"
    assert all(name in told["check"] for name in MISTAKES)  # it has read them all
    for name, text in told.items():
        assert text.strip(), f"{name} said nothing at all"
