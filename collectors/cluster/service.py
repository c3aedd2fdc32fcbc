"""`kubeledger watch`: API objects and Events to kubeledger.state, by one leader per cluster.

The main loop takes part in the election and does nothing else; while it leads there is a Term,
whose threads list and watch. A standby knows and writes nothing.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

from collectors.cluster.api import ApiFailure, ApiServer, Connect, checked, connector
from collectors.cluster.config import WatchConfig
from collectors.cluster.election import Alone, Call, Election, Terms
from collectors.cluster.term import Surroundings, Term
from collectors.cluster.worker import instant
from pipeline.base.clock import Clock, SystemClock
from pipeline.base.config import load
from pipeline.base.health import serve_health
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import ServiceTelemetry, service_telemetry
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Broker
from pipeline.broker.trouble import notices
from pipeline.contract import metrics

_LONGEST_S = 1.0


class Watcher:
    """Drive it with `step`; `run` below does."""

    def __init__(
        self,
        config: WatchConfig,
        around: Surroundings,
        *,
        broker: Broker,
        election: Election | Alone,
    ) -> None:
        self._config = config
        self._around = around
        self._broker = broker
        self._election = election
        self._term: Term | None = None
        self._beat = around.clock.monotonic()
        self._trouble: tuple[str, float] = ("", 0.0)  # what was said last, since when

    def step(self) -> float:
        """One turn; seconds until the next one is due. Raises what must end the watcher."""
        self._beat = self._around.clock.monotonic()
        self._take_part(self._election.request(instant(self._around.clock)))
        self._say_trouble()
        term = self._term
        if term is not None and (failure := term.failure()) is not None:
            raise failure
        leads = self._leads()
        if term is not None and (term.over or not leads):
            self._end_term("deposed")
        if leads and self._term is None:
            self._begin_term()
        self._around.telemetry.gauge(metrics.WATCH_LEADS, int(self._term is not None))
        due = self._election.due - self._around.clock.monotonic()
        return max(0.0, min(_LONGEST_S, due))

    def finish(self) -> None:
        """In order: stop reading, wait for what is on its way, then let another lead."""
        if self._term is not None:
            self._end_term("stopping")
        self._take_part(self._election.release(instant(self._around.clock)))

    def health(self) -> str | None:
        """Liveness is progress; an API server that is away is no reason to be restarted. Called
        from another thread: reads single values only."""
        now, bound = self._around.clock.monotonic(), self._config.health_bound_s
        if now - self._beat > bound:
            return f"the loop has not turned for {now - self._beat:.0f} s"
        term = self._term
        if term is None:
            words, since = self._trouble
            return words if words and now - since > bound else None
        records, quiet = term.outlet.waiting()
        if records and quiet > bound:
            return f"{records} records wait and the bus took none for {quiet:.0f} s"
        return None

    # -- inside ------------------------------------------------------------------------------

    def _leads(self) -> bool:
        return self._election.leads(instant(self._around.clock))

    def _take_part(self, call: Call | None) -> None:
        if call is None:
            return
        try:
            reply = self._around.api.call(
                call.method, call.path, body=call.body, deadline_s=call.deadline_s
            )
            status, body = reply.status, reply.body
        except ApiFailure as failure:
            status, body = 0, str(failure).encode()
        self._election.answered(status, body, instant(self._around.clock))

    def _say_trouble(self) -> None:
        words, old = self._election.trouble, self._trouble[0]
        if words == old:
            return
        self._trouble = (words, self._around.clock.monotonic() if words else 0.0)
        if words:
            self._around.telemetry.event("watch-election-failed", level="warn", why=words)

    def _begin_term(self) -> None:
        self._around.telemetry.event("watch-leads", cluster=self._config.cluster)
        self._term = Term(self._config, self._around, broker=self._broker, leads=self._leads)
        self._term.start()

    def _end_term(self, why: str) -> None:
        if self._term is not None:
            left = self._term.stop(self._config.stop_timeout_s)
            self._term = None
            self._around.telemetry.event("watch-leads-no-more", why=why, given_up_records=left)


def run(
    config: WatchConfig,
    *,
    connect: Connect,
    broker: Broker,
    telemetry: ServiceTelemetry,
    stop: Stop,
    clock: Clock,
    random: Random,
) -> None:
    """Watch until asked to stop. `random` is for jitter and for the identity."""
    around = Surroundings(ApiServer(connect, clock), telemetry, clock, random)
    watcher = Watcher(config, around, broker=broker, election=_election(config, random))
    with ExitStack() as stack:
        if config.health:
            stack.enter_context(serve_health(config.health, telemetry, watcher.health))
        stack.callback(watcher.finish)
        telemetry.event("watching", cluster=config.cluster, health=config.health)
        while not stop.is_set():
            stop.wait(watcher.step())


def run_watch(
    path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> None:
    """Configuration in, everything wired; blocks until SIGTERM or SIGINT."""
    config = load(
        WatchConfig, service="watch", path=path, environment=environment, overrides=overrides
    )
    telemetry = service_telemetry("watch", environment)
    connect = connector(config.kubeconfig, config.context, connections=200)
    _warn(checked(connect), telemetry)
    broker = open_broker(config.broker, notice=notices(telemetry))
    try:
        with Stop().on_signals() as stop:
            run(
                config,
                connect=connect,
                broker=broker,
                telemetry=telemetry,
                stop=stop,
                clock=SystemClock(),
                random=Random(),  # noqa: S311 - jitter
            )
    finally:
        broker.close()


def _election(config: WatchConfig, random: Random) -> Election | Alone:
    lease = config.lease
    if not lease.enabled:
        return Alone()
    return Election(
        lease.namespace,
        lease.name,
        identity=lease.identity or f"{os.uname().nodename}_{random.getrandbits(64):016x}",
        terms=Terms(lease.duration_s, lease.renew_s, lease.retry_s),
        random=random,
    )


def _warn(client: Any, telemetry: ServiceTelemetry) -> None:
    if not client.configuration.verify_ssl:
        telemetry.event(
            "api-not-verified",
            level="warn",
            why="insecure-skip-tls-verify is set: whoever answers gets the credentials",
        )
