"""`kubeledger up`: everything on this machine until Ctrl-C."""

from collections.abc import Callable, Sequence

from pipeline.base.clock import Clock
from pipeline.base.errors import KubeledgerError, Unavailable, UsageError
from pipeline.base.lifecycle import Stop
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


def run_up(
    pipeline: EmbeddedPipeline, *, stop: Stop, clock: Clock, say: Callable[[str], None]
) -> None:
    """Start, keep alive, say how it goes, and stop so that what was read is stored."""
    say("starting store, processor and collector …")
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
    """Stop the collector, then wait until the processor has confirmed all that is in the bus."""
    pipeline.stop_collector()
    deadline = clock.monotonic() + timeout_s
    while clock.monotonic() < deadline:
        pipeline.check()
        if pipeline.lag() == 0:
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
