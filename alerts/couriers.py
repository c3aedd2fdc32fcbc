"""Messages on their way out: a thread for each target, so that a receiver that hangs holds up
nobody else. Only one message of a target is under way at a time; whether and when to try again is
the evaluator's business, which then sends what is true by then."""

import queue
import threading
from dataclasses import dataclass

from alerts.notify import Message, Target
from alerts.receivers.port import Receiver
from pipeline.base.errors import KubeledgerError, Rejected

SENT, AGAIN, REFUSED = "sent", "again", "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    message: Message
    outcome: str
    why: str = ""


class Courier:
    """`start`, then `submit` one message at a time, while not `busy`."""

    def __init__(
        self, target: Target, receiver: Receiver, outcomes: "queue.Queue[Outcome]"
    ) -> None:
        self.target = target
        self.busy = False
        self._receiver = receiver
        self._outcomes = outcomes
        self._jobs: queue.Queue[Message | None] = queue.Queue()
        self._thread = threading.Thread(
            target=self._run, name=f"courier-{target.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def submit(self, message: Message) -> None:
        self.busy = True
        self._jobs.put(message)

    def stop(self, timeout_s: float) -> None:
        """What is under way may finish."""
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (message := self._jobs.get()) is not None:
            self._outcomes.put(self._deliver(message))

    def _deliver(self, message: Message) -> Outcome:
        try:
            self._receiver.send(message)
        except Rejected as error:
            return Outcome(message, REFUSED, str(error))
        except KubeledgerError as error:
            return Outcome(message, AGAIN, str(error))
        except Exception as error:  # noqa: BLE001 - border to a far side: told, and tried again
            return Outcome(message, AGAIN, f"{type(error).__name__} in {self.target.name}")
        return Outcome(message, SENT)
