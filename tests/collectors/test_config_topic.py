"""The topic of log configurations where it cannot be read."""

import threading
from typing import Any

from collectors import config_topic
from collectors.config_topic import ConfigTopic
from pipeline.base.errors import Unavailable
from pipeline.base.telemetry import RecordingTelemetry


class Closed:
    """A bus that answers nobody: the first two times in one way, then in another."""

    def __init__(self) -> None:
        self.asked = 0
        self.enough = threading.Event()

    def reader(self) -> Any:
        self.asked += 1
        if self.asked == 4:
            self.enough.set()
        raise Unavailable("nobody listens" if self.asked < 3 else "the token is wrong")


def test_what_cannot_be_read_is_said_once_and_tried_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(config_topic, "_PAUSE_S", 0.01)
    bus, telemetry = Closed(), RecordingTelemetry()
    topic = ConfigTopic(bus, telemetry, lambda _version: None)  # type: ignore[arg-type]
    with topic:
        assert bus.enough.wait(60.0)
    assert [event["why"] for _, event in telemetry.events] == [
        "nobody listens",
        "the token is wrong",
    ]
    assert not topic.loaded
