"""Changes on their way to kubeledger.alerts, which is the state of alerting.

Nothing that follows from a change (a message, a commit) may happen before it is acknowledged.
While the bus is away changes wait here.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from pipeline.base.errors import Rejected, Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Position, Producer
from pipeline.contract.alerts import Change, encode_change
from pipeline.contract.topics import ALERTS

_MOST_S = 0.2  # that `settle` waits


class Journal:
    """One thread. `written` hears of each change once it is durable, with its offset."""

    def __init__(
        self, producer: Producer, telemetry: Telemetry, written: Callable[[Change, int], None]
    ) -> None:
        self._producer = producer
        self._telemetry = telemetry
        self._written = written
        self._waiting: deque[tuple[Change, Future[Position]]] = deque()

    def write(self, change: Change) -> None:
        self._waiting.append((change, self._hand_over(change)))

    def settle(self) -> bool:
        """True when everything is durable."""
        while self._waiting:
            change, future = self._waiting[0]
            try:
                offset = future.result(_MOST_S).offset
            except TimeoutError:
                return False
            except Unavailable:
                self._waiting[0] = (change, self._hand_over(change))
                return False
            except Rejected as error:
                # too large: the alert lives on in memory, a restart would not know it
                self._telemetry.event("alert.refused", "error", name=change.name, error=str(error))
                self._waiting.popleft()
                continue
            self._waiting.popleft()
            self._written(change, offset)
        return True

    def forget(self) -> None:
        """What is on its way is somebody else's now."""
        self._waiting.clear()

    def _hand_over(self, change: Change) -> "Future[Position]":
        key, value, headers = encode_change(change)
        return self._producer.send(ALERTS, key=key, value=value, headers=headers, partition=0)
