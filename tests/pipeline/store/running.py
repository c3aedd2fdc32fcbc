"""An embedded store in a process of its own, as tests start, kill and ask it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from pipeline.base.clock import SystemClock
from pipeline.base.config import Settings
from pipeline.store.clickhouse import ClickHouseStore, open_store
from pipeline.store.config import StoreConfig
from pipeline.store.embedded.directory import read_endpoint
from pipeline.store.embedded.locate import endpoint

START_S = STOP_S = 120.0
FOR_EVER = 3650  # days: rows of tests have dates that grow old, and the engine keeps the calendar


@dataclass
class Running:
    """A store over `data`. The same object can be started again after `kill` or `stop`."""

    data: Path
    arguments: Sequence[str] = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    module: str = "pipeline.store.embedded"
    environment: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.data.parent / f"{self.data.name}.log"

    def start(self) -> "Running":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, "--data", str(self.data), *self.arguments],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        clock = SystemClock()
        deadline = clock.monotonic() + START_S
        while endpoint(self.data) is None or self._stale():
            if self.process.poll() is not None or clock.monotonic() > deadline:
                raise AssertionError(f"the store did not start: {self.log.read_text()}")
            clock.sleep(0.05)
        return self

    def _stale(self) -> bool:
        """A killed store leaves its endpoint file behind."""
        found = read_endpoint(self.data)
        return found is None or self.process is None or found.pid != self.process.pid

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def config(self) -> StoreConfig:
        found = endpoint(self.data)
        assert found is not None, self.log.read_text()
        return changed(found, ttl_days=FOR_EVER)

    @property
    def http(self) -> str:
        found = read_endpoint(self.data)
        assert found is not None
        return f"http://127.0.0.1:{found.http_port}/"

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()

    def stop(self) -> int:
        if self.process is None:
            return 0
        self.terminate()
        return self.process.wait(STOP_S)

    def memory_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @contextmanager
    def client(self, **options: Any) -> Iterator[Client]:
        """clickhouse-driver's own client. Its own patience with a connection is 5 s: then it makes
        another one, in which settings and temporary tables are gone."""
        config = self.config
        client = Client(config.host, port=config.port, sync_request_timeout=60, **options)
        try:
            yield client
        finally:
            client.disconnect()

    @contextmanager
    def store(self, **changes: Any) -> Iterator[ClickHouseStore]:
        store = open_store(changed(self.config, **changes))
        try:
            yield store
        finally:
            store.close()


def changed(config: StoreConfig, **changes: Any) -> StoreConfig:
    assert isinstance(config, Settings)
    return config.model_copy(update=changes)
