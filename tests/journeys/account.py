"""The account of a pipeline, as `kubeledger audit` gives it."""

from contextlib import closing
from typing import Any

from pipeline.audit import audit
from pipeline.base.clock import Clock
from pipeline.console.embedded import EmbeddedPipeline
from pipeline.store.clickhouse import open_store


def account_of(pipeline: EmbeddedPipeline, clock: Clock) -> dict[str, Any]:
    """Of all files."""
    with closing(open_store(pipeline.store)) as store:
        return audit(store, database=pipeline.store.database, since_ns=0, clock=clock).document()
