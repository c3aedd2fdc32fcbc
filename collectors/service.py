"""`kubeledger collect`: configuration in, everything wired, the agent runs until asked to stop."""

from collections.abc import Mapping
from pathlib import Path

from collectors import agent
from collectors.config import CollectConfig
from collectors.pods.source import open_pods
from pipeline.base.clock import SystemClock
from pipeline.base.config import load
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import service_telemetry
from pipeline.broker.open import open_broker


def run_collect(path: Path | None, environment: Mapping[str, str]) -> None:
    """Blocks until SIGTERM or SIGINT; a graceful stop is bounded by the configuration."""
    config = load(CollectConfig, service="collect", path=path, environment=environment)
    telemetry = service_telemetry("collect", environment)
    clock = SystemClock()

    def notice(text: str) -> None:
        telemetry.event("bus.notice", "warn", text=text)

    broker = open_broker(config.broker, notice=notice)
    try:
        with (
            Stop().on_signals() as stop,
            open_pods(
                config.pods, broker=broker, node=config.node, telemetry=telemetry, clock=clock
            ) as pods,
        ):
            agent.run(config, broker=broker, pods=pods, telemetry=telemetry, stop=stop, clock=clock)
    finally:
        broker.close()
