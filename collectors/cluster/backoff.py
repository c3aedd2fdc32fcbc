"""How long to wait after a failure. As client-go's reflector does: from 0.8 s, doubled up to 30 s,
with jitter, so that the watches of one process, and the watchers of many clusters, do not come back
in step (k8s.io/client-go tools/cache/reflector.go)."""

from random import Random

FIRST_S, MOST_S = 0.8, 30.0


class Backoff:
    """State: failures in a row."""

    def __init__(self, random: Random, *, first_s: float = FIRST_S, most_s: float = MOST_S) -> None:
        self._random = random
        self._first_s, self._most_s = first_s, most_s
        self.failures = 0

    def reset(self) -> None:
        self.failures = 0

    def pause(self, least_s: float | None = None) -> float:
        """Seconds until the next attempt. `least_s` is what the server asked for."""
        base = min(self._first_s * float(1 << min(self.failures, 10)), self._most_s)
        self.failures += 1
        pause = base * self._random.uniform(0.5, 1.5)
        return pause if least_s is None else max(pause, least_s + base * self._random.random())

    def spread(self, most_s: float) -> float:
        """A share of `most_s`: what failed together must not come back together."""
        return self._random.uniform(0.0, most_s)
