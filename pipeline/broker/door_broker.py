"""An embedded bus on another node, by its door (kubeledger://HOST:PORT): collectors and the watcher
write to it and read log configurations; there is no consumer and no admin here."""

from typing import NoReturn

from pipeline.base.clock import Clock, SystemClock
from pipeline.base.errors import UsageError
from pipeline.broker.config import BrokerConfig
from pipeline.broker.door_entrance import Entrance
from pipeline.broker.door_producer import DoorProducer
from pipeline.broker.door_reader import DoorReader
from pipeline.broker.trouble import Notice

_COLLECTORS = (
    "broker.url kubeledger://… is for collect and watch: they write, read configurations, and "
    "nothing else"
)


class DoorBroker:
    """`address` is HOST:PORT of `kubeledger bus`."""

    def __init__(
        self,
        address: tuple[str, int],
        config: BrokerConfig,
        *,
        notice: Notice | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._entrance = Entrance(address, config)
        self._notice = notice or _ignore
        self._clock = clock or SystemClock()

    def producer(self) -> DoorProducer:
        return DoorProducer(self._entrance, notice=self._notice, clock=self._clock).start()

    def reader(self) -> DoorReader:
        return DoorReader(self._entrance)

    def consumer(self, group: str) -> NoReturn:
        raise UsageError(_COLLECTORS)

    def admin(self) -> NoReturn:
        raise UsageError(_COLLECTORS)

    def close(self) -> None:
        """Each producer and reader holds its own connection."""


def _ignore(_text: str) -> None:
    """Nobody wants to hear."""
