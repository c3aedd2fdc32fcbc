"""Lines that are not what a LogConfig says they are: told to whoever wrote it.

The watcher writes the objects' statuses and reads no logs; so, at most once in five minutes per
object, a record on the topic of configurations says how many lines there were, with one of them.
It is a hint and not a ledger: counts are of this process, and are lost with it.
"""

from collections import Counter
from collections.abc import Mapping

from pipeline.base.clock import Clock
from pipeline.broker.protocol import Producer
from pipeline.contract.configs import encode_config, log_errors
from pipeline.contract.topics import CONFIGS
from pipeline.logconfig.objects import OURS
from pipeline.logconfig.spec import Redact
from pipeline.stages.redact import Redactor

EVERY_S = 300.0
_PRESETS = Redact.model_construct(presets=("cloud-keys", "jwt", "cards", "email"), patterns=())
_MOST = 200


class Mistakes:
    """`note` what was stored; `step` tells it."""

    def __init__(self, producer: Producer, clock: Clock) -> None:
        self._producer = producer
        self._clock = clock
        self._redactor = Redactor(_PRESETS)
        self._seen: dict[str, tuple[int, bytes]] = {}
        self._told: dict[str, float] = {}

    def note(self, mistakes: Mapping[str, tuple[int, bytes]]) -> None:
        """By origin: how many lines, and one of them."""
        for origin, (count, sample) in mistakes.items():
            if origin.startswith(OURS):
                self._seen[origin] = (self._seen.get(origin, (0, b""))[0] + count, sample)

    def step(self) -> None:
        now = self._clock.monotonic()
        for origin in list(self._seen):
            if now - self._told.get(origin, float("-inf")) < EVERY_S:
                continue
            self._told[origin] = now
            count, sample = self._seen.pop(origin)
            (clean,) = self._redactor.apply([sample[: 4 * _MOST]], Counter())
            shown = clean[:_MOST].decode("utf-8", "backslashreplace")
            version = log_errors(origin, self._clock.wall_ns() // 1_000_000, count, shown)
            self._producer.send(CONFIGS, key=version.key, value=encode_config(version), headers=())
