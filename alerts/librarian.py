"""The store, from a thread of its own: rules that ask it are asked when they are due, and versions
of alerts become rows. A store that is away delays both and nothing else.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.model import Rule
from alerts.questions import answer
from alerts.rows import alert_block
from pipeline.base.clock import Clock
from pipeline.base.errors import KubeledgerError, Rejected, Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.contract.facts import Fact
from pipeline.contract.metrics import ROWS, RULE_QUERIES
from pipeline.contract.tables import ALERTS
from pipeline.store.protocol import Store

_STEP_S = 0.25
_AWAY_S = 5.0
_MOST = 1_000  # rows of a block
_HELD = 100_000  # rows that wait while the store is away


@dataclass(frozen=True, slots=True)
class Answered:
    """The whole answer of a rule's question."""

    rule: Rule
    rows: list[dict[str, Any]]
    at: int  # Unix ms


class Librarian:
    """`start`; then `keep` facts, and read `answers`. Asks only while `asking`."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        rules: Sequence[Rule],
        *,
        parameters: Mapping[str, Mapping[str, Any]],
        cluster: str,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self.answers: queue.Queue[Answered] = queue.Queue()
        self.asking = threading.Event()
        self._open = open_store
        self._rules = [rule for rule in rules if rule.sql is not None]
        self._parameters = parameters
        self._cluster = cluster
        self._clock = clock
        self._telemetry = telemetry
        self._rows: queue.Queue[tuple[Fact, int]] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="librarian", daemon=True)
        self._next = {rule.name: 0.0 for rule in self._rules}
        self._told: set[str] = set()
        # Rows that come twice are merged, so another attempt has another token: one that failed may
        # be known without its rows (pipeline/processor/deliver.py).
        self._failures = 0

    def start(self) -> None:
        self._thread.start()

    def keep(self, fact: Fact, offset: int) -> None:
        """A version of an alert, and where it is on the topic. Repeating it changes nothing."""
        if self._rows.qsize() < _HELD:
            self._rows.put((fact, offset))

    def stop(self, timeout_s: float) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        store = self._open()
        try:
            while not self._stop.is_set():
                if not self.work(store):
                    self._stop.wait(_AWAY_S)
                self._stop.wait(_STEP_S)
            self._insert(store)
        finally:
            store.close()

    def work(self, store: Store) -> bool:
        """What is due. False: the store is away."""
        return self._insert(store) and self._ask(store)

    def _insert(self, store: Store) -> bool:
        while not self._rows.empty():
            batch = [self._rows.get() for _ in range(min(self._rows.qsize(), _MOST))]
            first, last = batch[0][1], batch[-1][1]
            block = alert_block(batch, cluster=self._cluster)
            token = f"alerts:{first}-{last}:{len(batch)}:{self._failures}"
            try:
                store.insert(ALERTS.name, block, token=token)
            except Unavailable as error:
                self._failures += 1
                for item in batch:  # order does not matter: versions decide
                    self._rows.put(item)
                self._tell_once("rows", str(error))
                return False
            except Rejected as error:
                self._telemetry.event("alerts.refused", "error", error=str(error))
                continue
            self._telemetry.count(ROWS, len(batch))
            self._told.discard("rows")
        return True

    def _ask(self, store: Store) -> bool:
        for rule in self._rules:
            now = self._clock.monotonic()
            if rule.sql is None or not self.asking.is_set() or self._stop.is_set():
                break
            if now < self._next[rule.name]:
                continue
            self._next[rule.name] = now + rule.sql.every / 1000
            at = self._clock.wall_ns() // 1_000_000
            try:
                rows = answer(store, rule, self._parameters.get(rule.name, {}), at)
            except Unavailable as error:
                self._failed(rule, error)
                return False
            except KubeledgerError as error:  # its own fault: the others are asked all the same
                self._failed(rule, error)
                continue
            self._told.discard(rule.name)
            self._telemetry.count(RULE_QUERIES, outcome="ok")
            self.answers.put(Answered(rule, rows, at))
        return True

    def _failed(self, rule: Rule, error: KubeledgerError) -> None:
        self._telemetry.count(RULE_QUERIES, outcome="failed")
        self._tell_once(rule.name, str(error))

    def _tell_once(self, what: str, error: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._telemetry.event("query.failed", "warn", what=what, error=error)
