"""The whole pipeline on one machine, in one directory.

DATA/
  bus.db        the embedded bus (SQLite)
  store/        the embedded ClickHouse engine, and endpoint.json while it serves
  positions/    the collector's positions
  state/        snapshots of the folds
  config/       the configuration that each service was started with
  log/          what each service says (JSON lines)
  lock          held by the process that started the services
"""

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from pipeline.base.alone import alone
from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, UsageError
from pipeline.base.ports import free_port
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.console.services import Supervisor
from pipeline.contract import topics
from pipeline.contract.metrics import BACKLOG_BYTES, UNACKED_BYTES
from pipeline.store.clickhouse import open_store
from pipeline.store.config import StoreConfig
from pipeline.store.embedded.locate import endpoint
from pipeline.store.migrate import migrate

STORE, COLLECT, PROCESS = "store", "collect", "process-logs"
PROCESS_STATE, WATCH, BUS, ALERT = "process-state", "watch", "bus", "alert"
PAGE = "page"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to read: roots in kubelet layout, plain files, pod lists, the kubelet, and what Fluent
    clients send. Without roots, files and such clients no collector runs here."""

    roots: Sequence[Path]
    node: str
    host_files: Sequence[tuple[str, str]] = ()  # (glob, program)
    pod_files: Sequence[Path] = ()
    kubelet: dict[str, Any] | None = None  # settings of `kubelet` in collect.yaml
    kubeconfig: Path | None = None  # of the cluster to watch
    cluster: str = "-"
    door: Mapping[str, Any] | None = None  # settings of bus.yaml: collectors elsewhere write too
    alerts: Mapping[str, Any] = field(default_factory=dict)  # settings of alert.yaml: receivers
    forward: str | None = None  # HOST:PORT for Fluent clients

    @property
    def collected(self) -> bool:
        return bool(self.roots or self.host_files or self.forward)


def looked_at(path: Path) -> str:
    """The path, and why nothing comes of it yet: it is waited for, as on a node without pods."""
    if not path.exists():
        return f"{path} (not there yet)"
    return str(path) if os.access(path, os.R_OK) else f"{path} (not readable by this user)"


class EmbeddedPipeline(AbstractContextManager["EmbeddedPipeline"]):
    """Starts store, topics and tables, processors and collector; stops them in the order in
    which nothing is cut short: collector, watcher, log processors, state processor, store."""

    def __init__(
        self,
        data: Path,
        inputs: Inputs,
        *,
        clock: Clock,
        listen: str = "127.0.0.1:0",
        http: str = "127.0.0.1:0",
        page: str = "",
        partitions: int = 2,
        bus: str | None = None,
        processors: int = 1,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """`bus` replaces the embedded bus by another, as BrokerConfig.url names it. `settings`:
        per service, what its configuration has beside or instead of what is written here."""
        self.data = data
        self._inputs = inputs
        self._clock = clock
        self._listen = listen
        self._http = http
        self._page = page  # where the page is served; nowhere if empty
        self._partitions = partitions
        self._bus = bus or f"sqlite:{data / 'bus.db'}"
        self._settings = settings or {}
        self.processors = [PROCESS, *(f"{PROCESS}-{i}" for i in range(2, processors + 1))]
        self._supervisor = Supervisor(data / "log", clock)
        self._health: dict[str, str] = {}
        self._forward = inputs.forward or ""

    def __enter__(self) -> Self:
        try:
            self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UsageError(f"cannot use {self.data} as data directory: {error}") from error
        self._lock = self._alone()
        try:
            self._start()
        except BaseException:
            self._supervisor.stop_all(5.0)
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._supervisor.stop_all(20.0)
        os.close(self._lock)

    @property
    def broker(self) -> BrokerConfig:
        return BrokerConfig(url=self._bus)

    @property
    def store(self) -> StoreConfig:
        found = endpoint(self.data / "store")
        if found is None:
            raise Fatal(f"the store of {self.data} does not answer; see {self.data}/log/store.log")
        return found

    def describe(self) -> list[str]:
        """Where to look, for people."""
        store = self.store
        return [
            f"data      {self.data}",
            f"reading   {', '.join(map(looked_at, self._inputs.roots)) or 'nothing here'}",
            *(f"pods      {looked_at(path)}" for path in self._inputs.pod_files),
            f"store     native {store.host}:{store.port}, HTTP http://{self._http}",
            *([f"forward   {self._forward}"] if self._forward else []),
            *([f"page      http://{self._page}/"] if self._page else []),
            *(f"{name:<9} http://{at}/metrics" for name, at in self._health.items()),
            f"try       kubeledger logs --data {self.data} -f",
            f"          kubeledger audit --data {self.data}",
        ]

    def check(self) -> list[str]:
        """Keep the services alive; says what was restarted."""
        return self._supervisor.check()

    def kill(self, service: str) -> bool:
        return self._supervisor.kill(service)

    def pause(self, service: str) -> bool:
        return self._supervisor.pause(service)

    def resume(self, service: str) -> bool:
        return self._supervisor.resume(service)

    def pid(self, service: str) -> int | None:
        """The process of a service; None while it is down."""
        return self._supervisor.pid(service)

    def unwell(self) -> str | None:
        """What the services' own /healthz say, if one is not fine; None if all are."""
        for name, address in self._health.items():
            try:
                with urllib.request.urlopen(f"http://{address}/healthz", timeout=2):
                    continue
            except urllib.error.HTTPError as error:
                return f"{name}: {error.read(300).decode('utf-8', 'replace').strip()}"
            except OSError as error:
                return f"{name} does not answer: {error}"
        return None if self._health else "not started yet"

    def stop_collector(self) -> None:
        self._supervisor.stop(COLLECT, 20.0)

    def waiting_bytes(self) -> int | None:
        """Bytes on disk that the broker has not acknowledged; None while the collector does not
        answer; 0 where none runs."""
        if COLLECT not in self._health:
            return 0
        metrics = self._metrics(COLLECT)
        if metrics is None or BACKLOG_BYTES.name not in metrics:
            return None  # away, or its first round is not over
        return int(metrics[BACKLOG_BYTES.name] + metrics.get(UNACKED_BYTES.name, 0))

    def lag(self) -> int:
        """Records in the bus that the log processors have not confirmed."""
        return self._lag(topics.LOG_GROUP, topics.LOGS)

    def state_lag(self) -> int:
        """Records in the bus that the state processor has not confirmed. It writes ticks itself,
        so this is not zero for ever."""
        return self._lag(topics.STATE_GROUP, topics.STATE)

    def _lag(self, group: str, topic: str) -> int:
        broker = open_broker(self.broker)
        admin = broker.admin()
        try:
            return sum(admin.group_lag(group, topic).values())
        finally:
            admin.close()
            broker.close()

    def wait_for_store(self, timeout_s: float = 60.0) -> StoreConfig:
        deadline = self._clock.monotonic() + timeout_s
        while self._clock.monotonic() < deadline:
            self.check()
            found = endpoint(self.data / "store")
            if found is not None:
                return found
            self._clock.sleep(0.1)
        raise Fatal(f"the store did not start in {timeout_s:.0f} s; see {self.data}/log/store.log")

    def _alone(self) -> int:
        """The directory for this process, until it ends: a second one would join the group and
        the store of the first."""
        lock = os.open(self.data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not alone(lock):
            os.close(lock)
            raise UsageError(
                f"{self.data}: another `kubeledger up` or `demo` runs in this directory; stop it, "
                "or give another with --data"
            )
        return lock

    def _start(self) -> None:
        # Ports are fixed before the first start: a restarted store must be where it was.
        self._listen, self._http = _with_port(self._listen), _with_port(self._http)
        self._forward = _with_port(self._forward)
        words = [STORE, "--data", str(self.data / "store")]
        self._supervisor.start(STORE, [*words, "--listen", self._listen, "--http", self._http])
        config = self.wait_for_store()
        store = open_store(config)
        try:
            migrate(store, config)
        finally:
            store.close()
        self._create_topics()
        watch = (WATCH,) if self._inputs.kubeconfig else ()
        collect = (COLLECT,) if self._inputs.collected else ()
        door = (BUS,) if self._inputs.door else ()
        for name in (PROCESS_STATE, *self.processors, ALERT, *watch, *door, *collect):
            self._health[name] = _with_port("127.0.0.1:0")
        state = {"state_dir": str(self.data / "state"), "cluster": self._inputs.cluster}
        state |= self._process_config(PROCESS_STATE, config.port)
        self._run(PROCESS_STATE, ["process", "state"], state)
        for name in self.processors:
            self._run(name, ["process", "logs"], self._process_config(name, config.port))
        alerts = {"cluster": self._inputs.cluster, **self._inputs.alerts}
        self._run(ALERT, ["alert"], alerts | self._process_config(ALERT, config.port))
        if watch:
            self._run(WATCH, ["watch"], self._watch_config())
        if door:
            self._run(BUS, ["bus"], self._door_config())
        if collect:
            self._run(COLLECT, ["collect"], self._collect_config())
        if self._page:
            self._page = _with_port(self._page)
            words = [PAGE, "--data", str(self.data), "--listen", self._page]
            self._supervisor.start(PAGE, words)

    def _create_topics(self) -> None:
        broker = open_broker(self.broker)
        admin = broker.admin()
        try:
            admin.ensure(topics.topic_specs(self._partitions), create=True)
        finally:
            admin.close()
            broker.close()

    def _run(self, name: str, words: Sequence[str], config: dict[str, Any]) -> None:
        path = self.data / "config" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True, mode=0o700)
        config = _merged(config, self._settings.get(name, {}))
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        self._supervisor.start(name, [*words, "--config", str(path)])

    def _collect_config(self) -> dict[str, Any]:
        inputs = self._inputs
        return {
            "node": inputs.node,
            "cluster": inputs.cluster,
            "roots": [str(root) for root in inputs.roots],
            "host_files": [{"glob": g, "container": c} for g, c in inputs.host_files],
            "state_dir": str(self.data / "positions"),
            "broker": {"url": self.broker.url},
            "health": self._health[COLLECT],
            "kubelet": inputs.kubelet or {},
            "pods": {"files": [str(path) for path in inputs.pod_files]},
            "forward": {"listen": self._forward},
        }

    def _watch_config(self) -> dict[str, Any]:
        return {
            "kubeconfig": str(self._inputs.kubeconfig),
            "cluster": self._inputs.cluster,
            "broker": {"url": self.broker.url},
            "health": self._health[WATCH],
            "lease": {"enabled": False},  # nobody else watches for this bus
        }

    def _door_config(self) -> dict[str, Any]:
        return {
            "broker": {"url": self.broker.url},
            "health": self._health[BUS],
            **(self._inputs.door or {}),
        }

    def _process_config(self, name: str, port: int) -> dict[str, Any]:
        return {
            # A killed processor's partitions wait for this long; on one machine a heartbeat
            # does not get lost, so it can be short.
            "broker": {"url": self.broker.url, "session_timeout_s": 3},
            "store": {"host": "127.0.0.1", "port": port},
            "health": self._health[name],
        }

    def _metrics(self, service: str) -> dict[str, float] | None:
        url = f"http://{self._health[service]}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                text = answer.read().decode()
        except (OSError, http.client.HTTPException):  # away, or killed while it answered
            return None
        return {
            name: float(value)
            for name, value in re.findall(r"^([a-z_]+)(?:\{[^}]*\})? (\S+)$", text, re.M)
        }


def _merged(config: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Sections are merged, single values replaced."""
    both = {
        key: {**config[key], **value} if isinstance(config.get(key), dict) else value
        for key, value in more.items()
    }
    return config | both


def _with_port(address: str) -> str:
    """HOST:0 with a free port in place of the 0; anything else as it is."""
    host, _, port = address.rpartition(":")
    if port != "0":
        return address
    return f"{host}:{free_port(host)}"


def node_name() -> str:
    """This machine's name, for logs that come without a node."""
    return os.uname().nodename
