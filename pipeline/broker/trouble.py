"""What keeps a producer from sending, in words for people: each reason once while it lasts."""

from collections.abc import Callable

from pipeline.base.telemetry import Telemetry

Notice = Callable[[str], None]

MOST = 10  # a far side that finds new words each time is not told for ever


def notices(telemetry: Telemetry) -> Notice:
    """Into the service's own log."""
    return lambda text: telemetry.event("bus.notice", "warn", text=text)


class Trouble:
    """A first try may have had no time to learn the real reason, so another one is told, too. From
    any thread; two that fail at once may tell one reason twice."""

    def __init__(self, notice: Notice) -> None:
        self._notice = notice
        self._told: set[str] = set()

    def tell(self, reason: str) -> None:
        if reason not in self._told and len(self._told) < MOST:
            self._told.add(reason)
            self._notice(reason)

    def over(self, text: str) -> None:
        """It goes well again. Said if there was any trouble."""
        if self._told:
            self._told.clear()
            self._notice(text)
