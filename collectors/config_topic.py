"""The topic of log configurations, read from its beginning. A thread of its own: what waits for the
bus must not stop who reads logs, or who leads."""

import threading
from collections.abc import Callable

from pipeline.base.errors import KubeledgerError
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Broker, Reader, TopicPartition
from pipeline.contract.configs import ConfigVersion, decode_config
from pipeline.contract.fields import RecordError
from pipeline.contract.topics import CONFIGS

_TP = TopicPartition(CONFIGS, 0)
_POLL_S = 0.5
_PAUSE_S = 5.0


class ConfigTopic:
    """A context manager: the thread runs inside it, and gives each version to `learn`. `loaded`:
    what was on the topic at the start has been read."""

    def __init__(
        self, broker: Broker, telemetry: Telemetry, learn: Callable[[ConfigVersion], None]
    ) -> None:
        self.loaded = False
        self._broker = broker
        self._telemetry = telemetry
        self._learn = learn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="configs", daemon=True)

    def __enter__(self) -> "ConfigTopic":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._thread.join(_PAUSE_S)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Does not wait."""
        self._stop.set()

    def _run(self) -> None:
        said = ""  # each trouble once in a row
        while not self._stop.is_set():
            try:
                self._read()
            except KubeledgerError as error:
                if str(error) != said:
                    said = str(error)
                    self._telemetry.event("configs-unread", level="warn", why=said)
                self._stop.wait(_PAUSE_S)

    def _read(self) -> None:
        reader = self._broker.reader()
        try:
            reader.assign([_TP])
            goal = reader.end_offset(_TP)
            while not self._stop.is_set():
                self._take(reader)
                self.loaded = self.loaded or reader.position(_TP) >= goal
        finally:
            reader.close()

    def _take(self, reader: Reader) -> None:
        for record in reader.poll(_POLL_S):
            if record.value is None:
                continue
            try:
                self._learn(decode_config(record.value))
            except RecordError as error:
                self._telemetry.event(
                    "config-bad", level="warn", offset=record.offset, why=str(error)
                )
