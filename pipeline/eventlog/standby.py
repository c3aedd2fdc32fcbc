"""Waiting for one's turn: fold along behind the working member, up to what it has confirmed.

Nothing is sent and nothing is stored. The state is the same that the working member has, so
taking over means to go on. Never beyond the confirmed offset: what lies behind it would have to
be folded again to be stored.
"""

from dataclasses import dataclass

from pipeline.base.clock import Clock
from pipeline.base.errors import Unavailable
from pipeline.broker.protocol import Consumer, Reader, TopicPartition
from pipeline.eventlog.keeper import Keeper
from pipeline.eventlog.machine import Machine
from pipeline.eventlog.takeover import Takeover

_LOOK_EVERY_S = 1.0
_AT_ONCE_S = 0.5  # then the group must be polled again


@dataclass(slots=True)
class Standby:
    machine: Machine
    keeper: Keeper
    takeover: Takeover
    consumer: Consumer
    reader: Reader
    clock: Clock
    confirmed: int = 0
    _look_at: float = 0.0

    def follow(self, tp: TopicPartition) -> None:
        """A piece of the way; returns soon."""
        now = self.clock.monotonic()
        if now < self._look_at:
            return
        try:
            found = self.consumer.committed(tp)
            if found is not None and not self._advance(tp, found.offset, now + _AT_ONCE_S):
                return  # far behind: no rest
        except Unavailable:
            pass  # the working member says so; here it only means waiting longer
        self._look_at = now + _LOOK_EVERY_S

    def _advance(self, tp: TopicPartition, upto: int, deadline: float) -> bool:
        """True when there."""
        self.confirmed = upto
        if self.machine.next >= upto:
            return True
        self.takeover.backlog.clear()  # stored by somebody else meanwhile
        self.takeover.catch_up_from(tp, upto, self.reader.beginning_offset(tp))
        self.reader.assign([tp])
        self.reader.seek(tp, self.machine.next)
        while self.machine.next < upto and self.clock.monotonic() < deadline:
            records = self.reader.poll(0.1)
            if not records:
                return True
            self.machine.take([record for record in records if record.offset < upto])
        if self.keeper.due(upto):
            self.keeper.save(upto)
        return self.machine.next >= upto
