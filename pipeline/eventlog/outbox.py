"""Facts on their way to kubeledger.facts: sent as soon as they are concluded, whatever the store
does, because alerts come from them. A batch is confirmed only when its facts are acknowledged."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

from pipeline.base.errors import Rejected, Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Position, Producer
from pipeline.contract.facts import Fact, encode_fact
from pipeline.contract.metrics import FACTS as FACTS_SENT
from pipeline.contract.topics import FACTS

_ACK_S = 0.5


class Outbox:
    """In order of offset. One thread."""

    def __init__(self, producer: Producer, telemetry: Telemetry) -> None:
        self._producer = producer
        self._telemetry = telemetry
        self._waiting: deque[tuple[int, Fact, Future[Position]]] = deque()

    def send(self, offset: int, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self._waiting.append((offset, fact, self._hand_over(fact)))
            self._telemetry.count(FACTS_SENT, kind=fact.kind)

    def settle(self, upto: int) -> None:
        """Facts of records up to that offset are acknowledged on return; Unavailable if not yet.
        One that the bus will never take (too large) is told and remains in the store alone."""
        while self._waiting and self._waiting[0][0] <= upto:
            offset, fact, future = self._waiting[0]
            try:
                future.result(_ACK_S)
            except TimeoutError as error:
                raise Unavailable("the bus has not acknowledged a fact yet") from error
            except Unavailable:
                self._waiting[0] = (offset, fact, self._hand_over(fact))
                raise
            except Rejected as error:
                self._telemetry.event("fact.refused", "error", id=fact.id, error=str(error))
            self._waiting.popleft()

    def forget(self) -> None:
        """What is on its way is somebody else's now."""
        self._waiting.clear()

    def _hand_over(self, fact: Fact) -> "Future[Position]":
        key, value, headers = encode_fact(fact)
        return self._producer.send(FACTS, key=key, value=value, headers=headers)
