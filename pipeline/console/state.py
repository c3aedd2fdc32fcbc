"""`kubeledger process state`: configuration in, everything wired, runs until asked to stop."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.base.clock import SystemClock
from pipeline.base.config import load
from pipeline.base.garbage import collect_rarely
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import service_telemetry
from pipeline.broker.open import open_broker
from pipeline.broker.trouble import notices
from pipeline.console.folds import FOLDED_BY, open_folds
from pipeline.eventlog.fingerprint import fingerprint
from pipeline.state import run
from pipeline.state_config import StateProcessorConfig
from pipeline.store.clickhouse import open_store


def run_process_state(path: Path | None, environment: Mapping[str, str]) -> None:
    """Blocks until SIGTERM or SIGINT."""
    config = load(StateProcessorConfig, service="process-state", path=path, environment=environment)
    telemetry = service_telemetry("process-state", environment)
    collect_rarely()

    broker, store = open_broker(config.broker, notice=notices(telemetry)), open_store(config.store)
    try:
        with Stop().on_signals() as stop:
            run(
                config,
                broker=broker,
                store=store,
                folds=open_folds,
                fingerprint=fingerprint(*FOLDED_BY),
                telemetry=telemetry,
                stop=stop,
                clock=SystemClock(),
            )
    finally:
        store.close()
        broker.close()
