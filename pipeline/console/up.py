"""`kubeledger up`: everything on this machine until Ctrl-C."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.clock import Clock
from pipeline.base.errors import KubeledgerError, Unavailable, UsageError
from pipeline.base.health import serve_health
from pipeline.base.lifecycle import Stop
from pipeline.base.telemetry import ServiceTelemetry
from pipeline.console.embedded import EmbeddedPipeline
from pipeline.console.sizes import human_bytes
from pipeline.store.clickhouse import ClickHouseStore, open_store

_STATUS_S = 10.0
_DRAIN_S = 30.0


def parse_host_files(texts: Sequence[str]) -> list[tuple[str, str]]:
    """`GLOB=PROGRAM` as on the command line."""
    pairs = []
    for text in texts:
        glob, equals, program = text.rpartition("=")
        if not equals or not glob or not program:
            raise UsageError(f"--host-file {text!r} is not GLOB=PROGRAM, for example "
                             "'/var/log/messages=messages'")  # fmt: skip
        pairs.append((glob, program))
    return pairs


def kubelet_settings(url: str | None, token: Path | None, ca: Path | None) -> dict[str, Any] | None:
    """Section `kubelet` of collect.yaml from the command line; what is wrong in it the collector
    says."""
    if url is None:
        if token or ca:
            raise UsageError(
                "--kubelet-token and --kubelet-ca go with --kubelet https://HOST:10250"
            )
        return None
    given = {"token_file": token, "ca_file": ca}
    return {"url": url} | {key: str(path) for key, path in given.items() if path is not None}


def door_settings(
    listen: str | None, cert: Path | None, key: Path | None, token: Path | None
) -> dict[str, Any] | None:
    """Section of bus.yaml from the command line; what is wrong in it the bus says."""
    if listen is None:
        if cert or key or token:
            raise UsageError("--bus-cert, --bus-key and --bus-token-file go with --bus-listen")
        return None
    given = {"cert_file": cert, "key_file": key, "token_file": token}
    return {"listen": listen} | {k: str(path) for k, path in given.items() if path is not None}


def alert_settings(path: Path | None) -> dict[str, Any]:
    """A file for `kubeledger alert`; what is wrong in it the evaluator says. Bus, store and health
    are those of the whole."""
    if path is None:
        return {}
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected `key: value` lines, for example `receivers: […]`")
    return {key: value for key, value in found.items() if key not in ("broker", "store", "health")}


@contextmanager
def serve_whole(pipeline: EmbeddedPipeline, address: str | None) -> Iterator[None]:
    """/healthz of everything, at HOST:PORT: fine while each service is."""
    if address is None:
        yield
        return
    telemetry = ServiceTelemetry("up")
    with serve_health(address, telemetry, pipeline.unwell):
        yield


def run_up(
    pipeline: EmbeddedPipeline, *, stop: Stop, clock: Clock, say: Callable[[str], None]
) -> None:
    """Start, keep alive, say how it goes, and stop so that what was read is stored."""
    say("starting store, processors and collectors …")
    with pipeline:
        for line in pipeline.describe():
            say(line)
        status_at = clock.monotonic() + 2
        while not stop.wait(0.2):
            for news in pipeline.check():
                say(news)
            if clock.monotonic() >= status_at:
                say(_status(pipeline))
                status_at = clock.monotonic() + _STATUS_S
        say("stopping: what was read is stored first …")
        drain(pipeline, clock=clock, timeout_s=_DRAIN_S)
    say(f"stopped. Look at it again with: kubeledger logs --data {pipeline.data}")


def drain(pipeline: EmbeddedPipeline, *, clock: Clock, timeout_s: float) -> bool:
    """Stop the collector, then wait until the processors have confirmed all that is in the bus:
    first the logs, which may hold signals for the event log."""
    pipeline.stop_collector()
    deadline = clock.monotonic() + timeout_s
    while clock.monotonic() < deadline:
        pipeline.check()
        if pipeline.lag() == 0 and pipeline.state_lag() == 0:
            return True
        clock.sleep(0.2)
    return False


def count_rows(store: ClickHouseStore) -> tuple[int, int]:
    """Rows and raw bytes stored."""
    rows, raw = store.query("SELECT count(), sum(nbytes) FROM logs").rows[0]
    return int(rows), int(raw)


def _status(pipeline: EmbeddedPipeline) -> str:
    try:
        store = open_store(pipeline.store)
        try:
            rows, raw = count_rows(store)
        finally:
            store.close()
        waiting, lag = pipeline.waiting_bytes(), pipeline.lag()
    except Unavailable as error:
        return f"status: a service is away for a moment ({error})"
    except KubeledgerError as error:
        return f"status: {error}"
    behind = "?" if waiting is None else human_bytes(waiting)
    return (
        f"{rows:,} rows, {human_bytes(raw)} of log stored; "
        f"{behind} on disk and {lag} records in the bus wait"
    )
