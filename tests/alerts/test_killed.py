"""The evaluator as a process on the embedded bus, killed at random moments while incidents come and
go: every alert is told, under one fingerprint and one beginning, and nothing flaps."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from alerts.show import line
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Broker
from pipeline.contract.facts import Fact, encode_fact
from pipeline.contract.topics import FACTS, topic_specs
from tests.alerts import rig
from tests.alerts.noted import notices
from tests.alerts.rig import episode
from tests.alerts.sinks import HttpSink, http_sink

INCIDENTS = 12
KILLS = 6
LAST = "~"


def start(config: Path, log: Path, ending: ExitStack) -> "subprocess.Popen[bytes]":
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "kubeledger", "alert", "--config", str(config)],
            stdout=out, stderr=out, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    ending.callback(process.wait, 60)
    ending.callback(process.terminate)
    return process


def put(broker: Broker, *facts: Fact) -> None:
    producer = broker.producer()
    for fact in facts:
        key, value, headers = encode_fact(fact)
        producer.send(FACTS, key=key, value=value, headers=headers).result(60)
    producer.close(5)


def wait_for(condition: Callable[[], bool], what: str, log: Path) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, f"{what}\n{log.read_text()[-3000:]}"
        time.sleep(0.1)


@dataclass
class Told:
    """`times`: fingerprint -> (starts_at, ends_at) with which it was told."""

    times: dict[str, set[tuple[int, int | None]]] = field(default_factory=dict)
    nodes: set[str] = field(default_factory=set)


def told(sink: HttpSink, status: str) -> Told:
    found = Told()
    for request in list(sink.got):
        for alert in request.json["alerts"]:
            if alert["status"] == status:
                key = (alert["starts_at"], alert["ends_at"])
                found.times.setdefault(alert["fingerprint"], set()).add(key)
                found.nodes.add(alert["labels"]["node"])
                assert line(alert)
    return found


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # facts of these minutes, as an evaluator meets them: what ended hours ago is forgotten
    monkeypatch.setattr(rig, "T0", int(time.time() * 1000) - 200_000)
    seed = int(os.environ.get("KUBELEDGER_SEED", time.time()))
    rng = random.Random(seed)
    print(f"seed {seed}")
    url, log = f"sqlite:{tmp_path / 'bus.db'}", tmp_path / "log"
    broker = open_broker(BrokerConfig(url=url))
    admin = broker.admin()
    admin.ensure(topic_specs(1), create=True)
    admin.close()
    with http_sink() as sink, ExitStack() as ending:
        config = tmp_path / "alert.yaml"
        config.write_text(yaml.safe_dump({
            "broker": {"url": url, "session_timeout_s": 1},
            "health": "127.0.0.1:0",
            "receivers": [{
                "name": "hook", "type": "webhook", "url": sink.url, "group_wait": "0s",
                "group_interval": "100ms",
            }],
        }))  # fmt: skip
        process = start(config, log, ending)
        kills, version = 0, {}
        for number in range(INCIDENTS):
            entity = f"node/node-{number}"
            put(broker, episode(f"e{number}", 1, entity=entity, s=number))
            version[number] = 1
            if number % 2:  # and an earlier one ends, its last fact repeated
                old = number // 2
                end = episode(f"e{old}", 2, entity=f"node/node-{old}", s=100, status="closed")
                again = episode(f"e{old}", 1, entity=f"node/node-{old}", s=old)
                put(broker, end, again, end)
            if kills < KILLS and (not number or rng.random() < 0.7):
                time.sleep(rng.uniform(0.0, 2.5))
                process.kill()
                process.wait()
                kills += 1
                process = start(config, log, ending)
        ended = {f"node-{number // 2}" for number in range(INCIDENTS) if number % 2}
        alive = {f"node-{number}" for number in range(INCIDENTS)} - ended
        wait_for(lambda: alive <= told(sink, "firing").nodes, "all alerts are told", log)
        # one more comes and goes: behind it, all that was under way has been told, and would flap
        put(broker, episode(LAST, 1, entity=f"node/{LAST}", s=INCIDENTS))
        wait_for(lambda: LAST in told(sink, "firing").nodes, "one more", log)
        put(broker, episode(LAST, 2, entity=f"node/{LAST}", s=100, status="closed"))
        wait_for(
            lambda: told(sink, "firing").nodes - alive <= told(sink, "resolved").nodes,
            "who was told of an alert hears of its end", log,
        )  # fmt: skip
        process.terminate()
        assert process.wait(60) == 0
    begun, over = told(sink, "firing").times, told(sink, "resolved").times
    intended = {name for _, notice in notices(broker) for name in (*notice.trying, *notice.alerts)}
    broker.close()
    assert all(len(times) == 1 for times in begun.values()), "one beginning each"
    assert all(len(times) == 1 for times in over.values()), "one end each"
    assert begun.keys() | over.keys() <= intended, "written down before it was told"
    starts = {next(iter(times))[0] for times in begun.values()}
    assert len(starts) == len(begun)
    assert all(
        next(iter(over[name]))[0] == next(iter(begun[name]))[0]
        for name in over.keys() & begun.keys()
    )
    assert b"Traceback" not in log.read_bytes()
