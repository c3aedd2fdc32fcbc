"""The topic of log configurations -> which files are wished now."""

from collections.abc import Sequence

from collectors.volumes.wish import FileWish, file_wish
from pipeline.base.telemetry import Telemetry
from pipeline.contract.configs import ConfigVersion


class WishFeed:
    """`learn` may be called from another thread (config_topic.py). `epoch` counts changes."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.epoch = 0
        self._telemetry = telemetry
        self._newest: dict[str, int] = {}  # uid -> generation; a deleted object has the last word
        self._wishes: dict[str, FileWish] = {}

    def wishes(self) -> Sequence[FileWish]:
        return list(self._wishes.values())

    def learn(self, version: ConfigVersion) -> None:
        """The newest generation counts; one that cannot be followed wishes nothing."""
        known = self._newest.get(version.uid, -1)
        generation = 1 << 62 if version.deleted else version.generation
        if generation <= known:
            return
        self._newest[version.uid] = generation
        wish = None
        try:
            wish = None if version.deleted else file_wish(version)
        except (ValueError, LookupError, TypeError) as error:
            self._telemetry.event("wish-bad", level="warn", uid=version.uid, why=str(error))
        if self._wishes.get(version.uid) != wish:
            self._wishes.pop(version.uid, None)
            if wish is not None:
                self._wishes[version.uid] = wish
            self.epoch += 1
