"""A whole pipeline that Fluent clients write to, as they do: compressed, acknowledged, sent again
after a break. The agent is killed in the middle, twice, and a log processor once."""

import gzip
import json
import socket
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zstandard

from pipeline.base.clock import SystemClock
from pipeline.base.ports import free_port
from pipeline.console.embedded import COLLECT, PROCESS, EmbeddedPipeline, Inputs
from pipeline.console.up import drain
from pipeline.store.clickhouse import open_store
from tests.journeys.account import account_of
from tests.journeys.command import wait_for

pytestmark = pytest.mark.slow
CHUNKS, EVENTS, CLIENTS = 25, 200, 4  # chunks: between two kills


class Client(threading.Thread):
    """As Fluent Bit with `require_ack_response`: a chunk is sent until its acknowledgement is
    there, over a new connection after each failure. It goes on until `over`."""

    def __init__(self, number: int, port: int, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.number, self.port, self.over = number, port, over
        self.acked = 0
        self.again: list[int] = []  # what was sent without an answer
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                while not self._sent(self.acked):
                    self.again.append(self.acked)
                    time.sleep(0.1)
                self.acked += 1
                time.sleep(0.02)
        except Exception as error:  # noqa: BLE001 - the test's thread asks for it
            self.failure = error

    def _sent(self, chunk: int) -> bool:
        tag, first = f"client.{self.number}", chunk * EVENTS
        events = b"".join(
            msgpack.packb([int(time.time()), {"n": n, "level": "info", "text": "x" * 100}])
            for n in range(first, first + EVENTS)
        )
        pack, name = ((gzip.compress, "gzip"), (zstandard.compress, "zstd"))[self.number % 2]
        ident = f"{self.number}/{chunk}"
        option = {"chunk": ident, "compressed": name, "size": EVENTS}
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                sock.sendall(msgpack.packb([tag, pack(events), option]))
                answer: Any = sock.recv(1000)
                return bool(answer) and msgpack.unpackb(answer) == {"ack": ident}
        except OSError:
            return False


def test_nothing_acknowledged_is_lost_when_the_agent_is_killed(tmp_path: Path) -> None:
    clock = SystemClock()
    port = free_port()
    inputs = Inputs((), "node-a", forward=f"127.0.0.1:{port}")
    with EmbeddedPipeline(tmp_path / "data", inputs, clock=clock) as pipeline:
        over = threading.Event()
        clients = [Client(number, port, over) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for kill in (COLLECT, PROCESS, COLLECT):
            acked = sum(client.acked for client in clients)
            _until(lambda n=acked: sum(client.acked for client in clients) > n + CHUNKS, pipeline)
            again = sum(len(client.again) for client in clients)
            assert pipeline.kill(kill)
            if kill == COLLECT:  # it is started anew when a client has felt it
                wait_for(
                    lambda n=again: sum(len(client.again) for client in clients) > n, "a break"
                )
        over.set()
        _until(lambda: not any(client.is_alive() for client in clients), pipeline)
        assert drain(pipeline, clock=clock, timeout_s=60)
        account = account_of(pipeline, clock)
        with closing(open_store(pipeline.store)) as store:
            rows = store.query("SELECT container, body, level FROM logs").rows
    assert [client.failure for client in clients] == [None] * CLIENTS
    for client in clients:
        bodies = [json.loads(r[1])["n"] for r in rows if r[0] == f"client.{client.number}"]
        assert set(bodies) == set(range(client.acked * EVENTS)), "an acknowledged event is missing"
        twice = {n // EVENTS for n, times in Counter(bodies).items() if times > 1}
        assert twice <= set(client.again), "a chunk that was answered is stored twice"
    assert {row[2] for row in rows} == {"info"}
    assert (account["ok"], account["unexplained"], account["duplicates"]) == (True, 0, 0)
    assert (account["gaps"], account["inexact"], account["open"]) == (0, 0, 0)
    said = (tmp_path / "data" / "log" / "collect.log").read_text()
    assert "Traceback" not in said


def _until(condition: Any, pipeline: EmbeddedPipeline) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, "the clients do not come to an end"
        pipeline.check()
        time.sleep(0.05)
