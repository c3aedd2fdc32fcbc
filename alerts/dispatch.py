"""Who is told now: plans, hands messages to couriers, and notes what became of them."""

import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from alerts.config import RetryLimits
from alerts.couriers import AGAIN, REFUSED, SENT, Courier, Outcome
from alerts.mute import muted
from alerts.notify import Message, Notice, Shown, plan
from alerts.standing import Standing
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Producer
from pipeline.contract.alerts import RESEND, Change, encode_change
from pipeline.contract.facts import Fact
from pipeline.contract.metrics import NOTIFICATIONS
from pipeline.contract.record import DeadLetter, encode_dead
from pipeline.contract.topics import ALERTS, DEAD

REASON = "notification-failed"


@dataclass(slots=True)
class Trouble:
    """A group that could not be told yet."""

    since: int  # Unix ms
    tries: int
    again_at: int


class Dispatch:
    """State: what is in trouble. What was told is in `standing.notices`."""

    def __init__(
        self,
        couriers: Sequence[Courier],
        outcomes: "queue.Queue[Outcome]",
        *,
        retry: RetryLimits,
        producer: Producer,
        telemetry: Telemetry,
        write: Callable[[Change], None],
    ) -> None:
        self._couriers = {courier.target.name: courier for courier in couriers}
        self._outcomes = outcomes
        self._retry = retry
        self._producer = producer
        self._telemetry = telemetry
        self._write = write
        self._trouble: dict[tuple[str, str], Trouble] = {}

    def forget(self) -> None:
        """The state is somebody else's now; what is under way may still arrive."""
        self._trouble.clear()

    def due(self, shown: Shown, standing: Standing, now: int) -> list[Message]:
        """What is to be said now, at most one message for each target."""
        found = []
        for courier in self._couriers.values():
            if courier.busy or muted(courier.target.mutes, now):
                continue
            for message in plan(courier.target, shown, standing.notices, now):
                if not message.firing and not message.resolved:
                    self._note(standing, message, message.notice)
                elif not self._waits(message, now):
                    found.append(message)
                    break
        return found

    def owed(self, standing: Standing) -> set[str]:
        """Alerts of which a receiver was told, or may have been, and not yet of their end."""
        return {
            name
            for (target, _), notice in standing.notices.items()
            if target in self._couriers
            for name in (*notice.alerts, *notice.trying)
        }

    def intend(self, messages: Sequence[Message], standing: Standing) -> None:
        """Write down what may be told from now on."""
        for message in messages:
            key = (message.target, message.group)
            known = standing.notices.get(key, Notice())
            trying = known.trying | message.notice.alerts
            if any(known.alerts.get(name) != told for name, told in trying.items()) and (
                trying != known.trying
            ):
                self._note(standing, message, replace(known, trying=trying))

    def hand_out(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._couriers[message.target].submit(message)

    def collect(self, standing: Standing | None, now: int) -> bool:
        """Outcomes that have come; without a standing they are noted by nobody. True if any."""
        any_ = False
        while True:
            try:
                outcome = self._outcomes.get_nowait()
            except queue.Empty:
                return any_
            any_ = True
            self._couriers[outcome.message.target].busy = False
            self._settle(outcome, standing, now)

    def _waits(self, message: Message, now: int) -> bool:
        trouble = self._trouble.get((message.target, message.group))
        return trouble is not None and now < trouble.again_at

    def _settle(self, outcome: Outcome, standing: Standing | None, now: int) -> None:
        message = outcome.message
        key = (message.target, message.group)
        if outcome.outcome == SENT:
            self._tell(outcome, SENT, now)
            self._trouble.pop(key, None)
            if standing is not None:
                self._note(standing, message, message.notice)
            return
        trouble = self._trouble.setdefault(key, Trouble(now, 0, now))
        trouble.tries += 1
        over = now - trouble.since >= self._retry.give_up
        if outcome.outcome == REFUSED or over:
            self._tell(outcome, REFUSED if outcome.outcome == REFUSED else "given-up", now)
            self._trouble.pop(key, None)
            if standing is not None:
                self._bury(message, outcome.why)
                failed = Notice(message.notice.alerts, message.notice.at, failed=True)
                self._note(standing, message, failed)
            return
        wait_s = min(self._retry.first_s * 2 ** (trouble.tries - 1), self._retry.longest_s)
        trouble.again_at = now + int(wait_s * 1000)
        self._tell(outcome, AGAIN, now)

    def _tell(self, outcome: Outcome, how: str, now: int) -> None:
        message = outcome.message
        self._telemetry.count(NOTIFICATIONS, receiver=message.target, outcome=how)
        if how == SENT and not message.news:
            return
        self._telemetry.event(
            f"notification.{how}", "info" if how == SENT else "warn", receiver=message.target,
            group=message.group, firing=[a.fingerprint for a in message.firing],
            resolved=[a.fingerprint for a in message.resolved],
            after_ms=now - min((a.starts_at for a in message.firing), default=now),
            error=outcome.why,
        )  # fmt: skip

    def _note(self, standing: Standing, message: Message, notice: Notice) -> None:
        if notice.alerts or notice.trying:
            standing.notices[message.target, message.group] = notice
        else:
            standing.notices.pop((message.target, message.group), None)
        self._write(notice.change(message.target, message.group))

    def _bury(self, message: Message, why: str) -> None:
        """On the dead-letter topic, as the wish to tell it again: `replay dead` makes it come
        true."""
        name = f"{message.target}/{message.group}"
        wish = Fact(RESEND, message.at, "cluster/-", f"{name}:{message.at}", {})
        key, value, headers = encode_change(Change(RESEND, name, wish))
        letter = DeadLetter(
            f"{ALERTS}:{name}:{message.at}", ALERTS, 0, 0, REASON, why, (*headers, ("key", key))
        )
        self._producer.send(DEAD, key=b"alerts", value=value, headers=encode_dead(letter))
