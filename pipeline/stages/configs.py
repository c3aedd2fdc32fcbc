"""Which objects were valid when: all versions that were ever written, in memory.

A chunk is treated by what was valid when its bytes were read, so that reading it again, a moment or
a month later, gives the same rows.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence

from pipeline.contract.configs import ConfigVersion, share_in
from pipeline.logconfig.objects import ConfigObject, is_config, read_object

_LATELY = 10  # decisions that another leader may have written as well


class ConfigTable:
    """`epochs` counts changes of what is known: who keeps what follows from it compares that."""

    def __init__(self) -> None:
        self.epochs = 0
        self._shares: dict[str, list[tuple[int, float]]] = {}  # namespace -> since, share
        self._versions: dict[str, dict[int | None, tuple[int, ConfigObject | None]]] = {}
        self._times: list[int] = []  # when anything changed, ascending
        self._valid: dict[int, Sequence[ConfigObject]] = {}

    def add(self, version: ConfigVersion) -> bool:
        """False if this version was here already, or says nothing of logs. Raises RecordError."""
        if (found := share_in(version)) is not None:
            return self._share(*found, version.since_ms)
        known = self._versions.setdefault(version.uid, {})
        key = None if version.deleted else version.generation
        if key in known or not (version.deleted or is_config(version.object)):
            return False
        made = None if version.deleted else read_object(version.object, since_ms=version.since_ms)
        known[key] = version.since_ms, made
        self._times = sorted({at for one in self._versions.values() for at, _ in one.values()})
        self._valid.clear()
        self.epochs += 1
        return True

    def _share(self, namespace: str, share: float, since_ms: int) -> bool:
        known = self._shares.setdefault(namespace, [])
        if any(at == since_ms for at, _ in known[-_LATELY:]):
            return False
        insort(known, (since_ms, share))
        return True

    def share(self, namespace: str, at_ms: int) -> float:
        """Of a namespace's lines that were read then, to be stored."""
        known = self._shares.get(namespace)
        at = bisect_right(known, (at_ms, 2.0)) if known else 0
        return known[at - 1][1] if known and at else 1.0

    def shares(self) -> Mapping[str, Sequence[tuple[int, float]]]:
        """All decisions that are known."""
        return self._shares

    def forget_shares(self, before_ms: int) -> list[tuple[str, int]]:
        """Of decisions that old only the last one of each namespace still counts: the others, as
        (namespace, since), are forgotten."""
        gone = []
        for namespace, known in self._shares.items():
            keep = max(0, bisect_right(known, (before_ms, 2.0)) - 1)
            gone += [(namespace, at) for at, _ in known[:keep]]
            del known[:keep]
        return gone

    def moment(self, at_ms: int) -> int:
        """A number that is the same for all times between two changes."""
        return bisect_right(self._times, at_ms)

    def valid(self, moment: int) -> Sequence[ConfigObject]:
        """What was valid then."""
        found = self._valid.get(moment)
        if found is None:
            until = self._times[moment - 1] if moment else -1
            found = self._valid[moment] = [
                one for known in self._versions.values() if (one := _at(known.values(), until))
            ]
        return found


def _at(versions: Iterable[tuple[int, ConfigObject | None]], until: int) -> ConfigObject | None:
    before = [one for one in versions if one[0] <= until]
    return max(before, key=lambda one: one[0])[1] if before else None
