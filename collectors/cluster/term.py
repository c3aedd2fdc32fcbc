"""One time of leading: a thread per scope, one outlet, until we lead no more.

A term begins with nothing known: everything is listed and written again, by the ids that any
leader gives (design.md). It is over for good at the first moment at which we were found not to
lead, whatever the election says a moment later: events may have been left out.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from collectors.cluster.api import ApiServer
from collectors.cluster.known import Known
from collectors.cluster.outlet import Deposed, Outlet
from collectors.cluster.resource import ResourceWatch
from collectors.cluster.resources import EVENTS, Scope, scopes
from collectors.cluster.status_writer import StatusWriter
from collectors.cluster.worker import Worker
from collectors.config_topic import ConfigTopic
from pipeline.base.clock import Clock
from pipeline.base.errors import KubeledgerError
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Broker
from pipeline.contract import metrics

if TYPE_CHECKING:
    from collectors.cluster.config import WatchConfig

_TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a term works with and does not own."""

    api: ApiServer
    telemetry: Telemetry
    clock: Clock
    random: Random


class Term:
    """`leads` is asked before each record. Owns the producer from `start` to `stop`."""

    def __init__(
        self,
        config: "WatchConfig",
        around: Surroundings,
        *,
        broker: Broker,
        leads: Callable[[], bool],
    ) -> None:
        self.over = False
        self._config = config
        self._around = around
        self._producer = producer = broker.producer()
        self._leads = leads
        self._ending = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="ticks", daemon=True)
        self._statuses = StatusWriter(
            around.api,
            leads=self._still,
            telemetry=around.telemetry,
            clock=around.clock,
            every_s=config.log_status_s,
        )
        self._configs = ConfigTopic(broker, around.telemetry, self._statuses.learn)
        self._status = threading.Thread(target=self._tell, name="log-status", daemon=True)
        limits = config.limits
        self.outlet = Outlet(
            producer,
            cluster=config.cluster,
            most_records=limits.unacked_records,
            most_bytes=limits.unacked_bytes,
            open=self._still,
            telemetry=around.telemetry,
            clock=around.clock,
            **({"seen": self._statuses.see} if config.log_status_s else {}),
        )
        self._lists = threading.Semaphore(limits.lists_at_once)
        self._workers = self._hire()

    def start(self) -> None:
        for worker in self._workers:
            worker.start()
        self._ticker.start()
        if self._config.log_status_s:
            self._status.start()
            self._configs.start()

    def failure(self) -> KubeledgerError | None:
        """Why the watcher must stop, if it must."""
        found = [worker.failure for worker in self._workers if worker.failure is not None]
        return self.outlet.failure or (found[0] if found else None)

    def stop(self, timeout_s: float) -> int:
        """Nothing is read any more; what is on its way is waited for, if we still lead. Returns
        the records that were given up: another leader writes them again."""
        drain = not self.over
        self._ending.set()
        self._configs.end()
        for worker in self._workers:
            worker.stop()
        deadline = self._around.clock.monotonic() + timeout_s
        if drain:
            self.outlet.drained(timeout_s)
        left, _ = self.outlet.waiting()
        self.over = True
        threads: list[threading.Thread | Worker] = [*self._workers, self._ticker]
        for thread in threads:
            thread.join(max(0.0, min(1.0, deadline - self._around.clock.monotonic())))
        self._producer.close(0.0)
        return left

    # -- inside ------------------------------------------------------------------------------

    def _hire(self) -> list[Worker]:
        """Scopes that share a Known share a lock: the two Event APIs of a namespace."""
        config = self._config
        wanted = list(
            scopes(
                without=config.without,
                namespaces=config.namespaces,
                secrets=[(secret.namespace, secret.name) for secret in config.secrets],
                node_pools=config.node_pools,
            )
        )
        shared: dict[str, tuple[Known, threading.Lock]] = {}
        spread = config.limits.start_spread_s / max(len(wanted), 1)
        workers = []
        for number, scope in enumerate(wanted):
            known, lock = Known(), threading.Lock()
            if scope.resource.name in EVENTS:
                known, lock = shared.setdefault(scope.namespace, (known, lock))
            make = partial(self._make, scope, known, number * spread)
            workers.append(self._worker(make, lock))
        return workers

    def _worker(self, make: Callable[[float], ResourceWatch], lock: threading.Lock) -> Worker:
        return Worker(
            make,
            api=self._around.api,
            outlet=self.outlet,
            lock=lock,
            lists=self._lists,
            telemetry=self._around.telemetry,
            clock=self._around.clock,
        )

    def _make(self, scope: Scope, known: Known, turn_s: float, later_s: float) -> ResourceWatch:
        """The first one at its turn. One that begins anew has passed nothing on yet."""
        now = self._around.clock.monotonic()
        limits = self._config.limits
        return ResourceWatch(
            scope,
            Known() if later_s else known,
            start_s=now + (later_s or turn_s),
            random=Random(self._around.random.random()),  # noqa: S311 - jitter
            lease_every_s=limits.lease_every_s,
            anew_s=limits.anew_h * 3600,
            page=limits.page,
        )

    def _still(self) -> bool:
        if not self.over and not self._leads():
            self.over = True
        return not self.over

    def _tell(self) -> None:
        while not self._ending.wait(_TICK_S):
            try:
                self._statuses.step()
            except Exception as error:  # noqa: BLE001 - border of the thread: a status is worth
                why = f"{type(error).__name__}: {error}"  # less than what the watcher is for
                self._around.telemetry.event("status-failed", level="error", why=why)
                return

    def _tick(self) -> None:
        telemetry, clock = self._around.telemetry, self._around.clock
        while not self._ending.wait(_TICK_S):
            try:
                for worker in self._workers:
                    worker.tick()
                    silent = clock.monotonic() - worker.heard
                    telemetry.gauge(metrics.WATCH_SILENT, silent, resource=worker.name)
            except Deposed:
                return
            except KubeledgerError:
                return  # the outlet's failure, which `failure` tells
            telemetry.gauge(metrics.WATCH_UNACKED, self.outlet.waiting()[0])
