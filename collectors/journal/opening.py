"""Which journal is there, and everything that it takes to read it, opened and closed together."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.journal.journals import EntrySource, Journals
from collectors.logs.positions import Positions
from collectors.ship import Shipper
from pipeline.base.clock import Clock
from pipeline.base.errors import UsageError
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Producer

if TYPE_CHECKING:
    from collectors.config import CollectConfig
    from collectors.journal.config import JournalConfig

_DIRECTORIES = ("/var/log/journal", "/run/log/journal")


@contextmanager
def open_journals(
    config: "CollectConfig",
    *,
    producer: Producer,
    telemetry: Telemetry,
    clock: Clock,
    wake: Callable[[], None],
) -> Iterator[Journals | None]:
    """What the configuration asks for; None if there is nothing to read."""
    source = _source(config.journal, telemetry=telemetry, clock=clock)
    if source is None:
        yield None
        return
    with Positions(Path(config.state_dir) / "journal", telemetry) as positions:
        ship = Shipper(
            producer,
            positions,
            limits=config.limits,
            telemetry=telemetry,
            clock=clock,
            wake=wake,
            topic=config.topic,
        )
        journals = Journals(
            config, source, ship=ship, positions=positions, telemetry=telemetry, clock=clock
        )
        try:
            yield journals if _begun(journals, config.journal, telemetry) else None
        finally:
            source.close()


def _begun(journals: Journals, config: "JournalConfig", telemetry: Telemetry) -> bool:
    """What was asked for by name must be there; what was only looked for need not."""
    try:
        journals.begin()
    except UsageError as error:
        if config.source != "auto":
            raise
        telemetry.event("journal-none", level="warn", why=str(error))
        return False
    return True


def _source(config: "JournalConfig", *, telemetry: Telemetry, clock: Clock) -> "EntrySource | None":
    chosen = config.source
    if chosen == "auto":
        chosen = "journald" if _has_journald(config) else "kmsg"
        telemetry.event("journal-source", chosen=chosen)
    if chosen == "journald":
        from collectors.journal.journald import Journald

        return Journald(config, telemetry=telemetry, clock=clock)
    if chosen == "kmsg":
        from collectors.journal.kmsg import Kmsg

        return Kmsg(telemetry=telemetry, clock=clock)
    return None


def _has_journald(config: "JournalConfig") -> bool:
    """A program to read with, and a journal that is not empty."""
    paths = [config.directory] if config.directory else _DIRECTORIES
    journal = any(os.path.isdir(path) and os.listdir(path) for path in map(str, paths))
    found = [os.path.join(path, config.command) for path in os.get_exec_path()]
    return journal and any(os.access(path, os.X_OK) for path in found)
