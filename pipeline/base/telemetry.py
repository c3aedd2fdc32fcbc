"""What a service says about itself: one call makes the log line and moves the counter.

Events are JSON lines on stderr; with `fluent` configured they also go, as they are, to a Fluent
forward endpoint (fluent-logger's door). Counters are served as Prometheus text by health.py.
Values named like a secret are never written.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from pipeline.base.errors import UsageError
from pipeline.contract.metrics import Metric

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SECRET = ("password", "token", "secret", "authorization")


class Telemetry(Protocol):
    """Give it to whatever must be seen working. Implementations: ServiceTelemetry here;
    tests use RecordingTelemetry."""

    def event(self, name: str, /, level: str = "info", **fields: Any) -> None: ...

    def count(self, metric: Metric, amount: float = 1, /, **labels: str) -> None: ...

    def gauge(self, metric: Metric, value: float, /, **labels: str) -> None: ...


class ServiceTelemetry:
    """JSON lines and a private Prometheus registry (nothing global)."""

    def __init__(
        self,
        service: str,
        *,
        stream: TextIO | None = None,
        level: str = "info",
        forward: Callable[[str, dict[str, Any]], None] | None = None,
    ) -> None:
        self._service = service
        self._stream = stream or sys.stderr
        self._floor = _LEVELS[level]
        self._forward = forward
        self._values: dict[tuple[Metric, tuple[str, ...]], float] = {}
        self._counting = threading.Lock()  # several threads of a service count the same things

    def event(self, name: str, /, level: str = "info", **fields: Any) -> None:
        if _LEVELS[level] < self._floor:
            return
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "level": level,
            "service": self._service,
            "event": name,
        }
        line.update(
            (k, "…" if any(s in k.lower() for s in _SECRET) else v) for k, v in fields.items()
        )
        self._stream.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
        self._stream.flush()
        if self._forward is not None:
            self._forward(name, line)

    def count(self, metric: Metric, amount: float = 1, /, **labels: str) -> None:
        key = (metric, tuple(labels[label] for label in metric.labels))
        with self._counting:
            self._values[key] = self._values.get(key, 0.0) + amount

    def gauge(self, metric: Metric, value: float, /, **labels: str) -> None:
        self._values[metric, tuple(labels[label] for label in metric.labels)] = value

    def value(self, metric: Metric, /, **labels: str) -> float:
        return self._values.get((metric, tuple(labels[label] for label in metric.labels)), 0.0)

    def registry(self) -> "CollectorRegistry":
        """Current values as a Prometheus registry, for one scrape."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        families: dict[Metric, CounterMetricFamily | GaugeMetricFamily] = {}
        for (metric, labels), value in list(self._values.items()):
            family = families.get(metric)
            if family is None:
                maker = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                family = maker(metric.name, metric.help, labels=metric.labels)
                families[metric] = family
            family.add_metric(labels, value)

        class Snapshot:
            def collect(self) -> Any:
                return families.values()

        registry = CollectorRegistry()
        registry.register(Snapshot())
        return registry


class RecordingTelemetry:
    """Keeps what it was told, for assertions."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.values: dict[tuple[str, tuple[str, ...]], float] = {}

    def event(self, name: str, /, level: str = "info", **fields: Any) -> None:
        self.events.append((name, {"level": level, **fields}))

    def count(self, metric: Metric, amount: float = 1, /, **labels: str) -> None:
        key = (metric.name, tuple(labels[label] for label in metric.labels))
        self.values[key] = self.values.get(key, 0.0) + amount

    def gauge(self, metric: Metric, value: float, /, **labels: str) -> None:
        self.values[metric.name, tuple(labels[label] for label in metric.labels)] = value

    def names(self) -> list[str]:
        return [name for name, _ in self.events]


_LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40}


class FluentForward:
    """Sends events to a Fluent forward endpoint with fluent-logger. Never blocks and never
    raises: our own logs must not stop the pipeline, and what cannot be sent is on stderr."""

    def __init__(self, sender: Any) -> None:
        self._sender = sender
        self.closed = False

    def __call__(self, name: str, line: dict[str, Any]) -> None:
        self._sender.emit(name, line)

    def close(self) -> None:
        """Stop at once; what is queued is on stderr already."""
        self._sender.close(flush=False)
        self.closed = True


def fluent_forwarder(host: str, port: int, tag: str) -> FluentForward:
    """A forwarder whose events arrive as `tag.name`; its thread ends with the process."""
    from fluent import asyncsender

    return FluentForward(
        asyncsender.FluentSender(
            tag, host=host, port=port, timeout=1.0, queue_maxsize=1000, queue_circular=True
        )
    )


def service_telemetry(service: str, environment: Mapping[str, str]) -> ServiceTelemetry:
    """As the environment says: KUBELEDGER_LOG_LEVEL (debug, info, warn, error) and
    KUBELEDGER_FLUENT (HOST:PORT of a Fluent forward endpoint; none if absent)."""
    level = environment.get("KUBELEDGER_LOG_LEVEL", "info")
    if level not in _LEVELS:
        raise UsageError(f"KUBELEDGER_LOG_LEVEL={level!r} is not one of {', '.join(_LEVELS)}")
    target = environment.get("KUBELEDGER_FLUENT", "")
    if not target:
        return ServiceTelemetry(service, level=level)
    host, _, port = target.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"KUBELEDGER_FLUENT={target!r} is not HOST:PORT")
    forward = fluent_forwarder(host, int(port), f"kubeledger.{service}")
    return ServiceTelemetry(service, level=level, forward=forward)
