"""`kubeledger alert`: configuration in, everything wired, runs until asked to stop."""

import queue
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from alerts.config import AlertConfig
from alerts.couriers import Courier, Outcome
from alerts.evaluator import Evaluator
from alerts.librarian import Librarian
from alerts.load import load_rules, nearest
from alerts.model import Rule
from alerts.wire import open_targets
from pipeline.base.clock import Clock, SystemClock
from pipeline.base.config import load
from pipeline.base.errors import UsageError
from pipeline.base.health import serve_health
from pipeline.base.lifecycle import Stop
from pipeline.base.patience import Stopping, reached
from pipeline.base.telemetry import ServiceTelemetry, Telemetry, service_telemetry
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Admin, Broker, Consumer, Producer, Reader
from pipeline.broker.trouble import notices
from pipeline.store.clickhouse import open_store
from pipeline.store.config import StoreConfig

POLL_S = 0.1


def run_alert(path: Path | None, environment: Mapping[str, str]) -> None:
    """Blocks until SIGTERM or SIGINT."""
    config = load(AlertConfig, service="alert", path=path, environment=environment)
    telemetry = service_telemetry("alert", environment)

    broker = open_broker(config.broker, notice=notices(telemetry))
    try:
        with Stop().on_signals() as stop:
            run(config, environment, broker=broker, telemetry=telemetry, stop=stop,
                clock=SystemClock())  # fmt: skip
    finally:
        broker.close()


def run(
    config: AlertConfig,
    environment: Mapping[str, str],
    *,
    broker: Broker,
    telemetry: ServiceTelemetry,
    stop: Stop,
    clock: Clock,
) -> None:
    """Evaluate until asked to stop."""
    reach = partial(reached, stop=stop, clock=clock, telemetry=telemetry)
    with ExitStack() as closing, suppress(Stopping):
        evaluator = open_evaluator(
            config, environment, broker=Patient(broker, reach), telemetry=telemetry, clock=clock
        )
        closing.callback(evaluator.close)
        closing.enter_context(serve_health(config.health, telemetry, evaluator.health))
        telemetry.event("started", health=config.health)
        reach("joining the group", evaluator.join)
        while not stop.is_set():
            evaluator.step(POLL_S)
        telemetry.event("stopped")


class Patient:
    """The bus, which may not be there yet."""

    def __init__(self, broker: Broker, reach: Callable[..., Any]) -> None:
        self._reach = partial(reach, "joining the bus")
        self._broker = broker

    def consumer(self, group: str) -> Consumer:
        found: Consumer = self._reach(lambda: self._broker.consumer(group))
        return found

    def reader(self) -> Reader:
        found: Reader = self._reach(self._broker.reader)
        return found

    def producer(self) -> Producer:
        found: Producer = self._reach(self._broker.producer)
        return found

    def admin(self) -> Admin:
        found: Admin = self._reach(self._broker.admin)
        return found

    def close(self) -> None:
        self._broker.close()


def open_evaluator(
    config: AlertConfig,
    environment: Mapping[str, str],
    *,
    broker: Broker,
    telemetry: Telemetry,
    clock: Clock,
) -> Evaluator:
    """Raises UsageError for rules, receivers or secrets that are not as they should be."""
    rules = wanted(config)
    outcomes: queue.Queue[Outcome] = queue.Queue()
    couriers = [
        Courier(target, receiver, outcomes)
        for target, receiver in open_targets(config, environment, clock)
    ]
    return Evaluator(
        config,
        rules=rules,
        couriers=couriers,
        outcomes=outcomes,
        broker=broker,
        librarian=_librarian(config, rules, telemetry, clock),
        telemetry=telemetry,
        clock=clock,
    )


def wanted(config: AlertConfig) -> list[Rule]:
    """Rules without those that are disabled."""
    rules = [file.rule for file in load_rules(config.rules)]
    known = {rule.name for rule in rules}
    for name in (*config.disabled, *config.parameters):
        if name not in known:
            raise UsageError(f"alert configuration: no rule is called {name}; "
                             f"{nearest(name, known)}")  # fmt: skip
    for rule in rules:
        given = config.parameters.get(rule.name, {})
        has = rule.sql.parameters if rule.sql is not None else {}
        for name in given:
            if name not in has:
                raise UsageError(f"alert configuration: {rule.name} has no parameter {name}; "
                                 f"{nearest(name, has)}")  # fmt: skip
    return [rule for rule in rules if rule.name not in config.disabled]


def _librarian(
    config: AlertConfig, rules: Sequence[Rule], telemetry: Telemetry, clock: Clock
) -> Librarian | None:
    where: StoreConfig | None = config.store
    if where is None:
        return None
    return Librarian(
        lambda: open_store(where),
        rules,
        parameters=config.parameters,
        cluster=config.cluster,
        clock=clock,
        telemetry=telemetry,
    )
