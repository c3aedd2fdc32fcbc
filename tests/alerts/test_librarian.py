"""Versions of alerts on their way into the store."""

from typing import Any

from alerts.alert import Alert
from alerts.librarian import Librarian
from pipeline.base.block import Block
from pipeline.base.clock import ManualClock
from pipeline.base.errors import Unavailable
from pipeline.base.telemetry import RecordingTelemetry

NOW = 1_795_435_200_000


class Forgetful:
    """Killed in the middle of the first insert: it knows the token and has not the rows."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.rows = 0

    def insert(self, table: str, block: Block, *, token: str) -> None:
        if token in self.tokens:
            return
        self.tokens.add(token)
        if len(self.tokens) == 1:
            raise Unavailable("killed in the middle")
        self.rows += len(block)


def test_another_attempt_does_not_rely_on_the_token_of_the_first() -> None:
    store: Any = Forgetful()
    librarian = Librarian(
        lambda: store,
        [],
        parameters={},
        cluster="prod",
        clock=ManualClock(),
        telemetry=RecordingTelemetry(),
    )
    alert = Alert("f1", "NodeNotReady", "critical", "node/n1", {}, "g", NOW, NOW)
    librarian.keep(alert.fact(NOW), 0)
    assert not librarian.work(store)
    assert librarian.work(store)
    assert store.rows == 1
