"""`kubeledger process logs`: configuration in, everything wired, runs until asked to stop."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.base.clock import SystemClock
from pipeline.base.config import load
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import service_telemetry
from pipeline.broker.open import open_broker
from pipeline.broker.trouble import notices
from pipeline.logs import run
from pipeline.logs_config import LogProcessorConfig
from pipeline.store.clickhouse import open_store


def run_process_logs(path: Path | None, environment: Mapping[str, str]) -> None:
    """Blocks until SIGTERM or SIGINT."""
    config = load(LogProcessorConfig, service="process-logs", path=path, environment=environment)
    telemetry = service_telemetry("process-logs", environment)

    broker, store = open_broker(config.broker, notice=notices(telemetry)), open_store(config.store)
    try:
        with Stop().on_signals() as stop:
            run(
                config,
                broker=broker,
                store=store,
                telemetry=telemetry,
                stop=stop,
                clock=SystemClock(),
            )
    finally:
        store.close()
        broker.close()
