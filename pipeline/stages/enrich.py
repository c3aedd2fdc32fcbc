"""Pod versions -> what rows need of them. Joined once per chunk, never per line.

A table of the newest versions per pod, in memory. A chunk names the version that its collector
knew when it read the bytes; that version is taken if it is here. The pods topic is compacted,
so an old version may be gone: then the oldest newer one is the nearest to the truth.
"""

import fnmatch
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.contract.record import PodVersion, Source
from pipeline.stages.multiline import PATTERNS
from pipeline.stages.rows import PodView

ANNOTATION = "kubeledger.io/multiline"
_KEPT_VERSIONS = 8


@dataclass(frozen=True, slots=True)
class MultilineRule:
    """A pattern for the containers whose names match the globs."""

    pattern: str
    namespace: str = "*"
    pod: str = "*"
    container: str = "*"

    def matches(self, source: Source) -> bool:
        return (
            fnmatch.fnmatchcase(source.namespace, self.namespace)
            and fnmatch.fnmatchcase(source.pod, self.pod)
            and fnmatch.fnmatchcase(source.container, self.container)
        )


class PodTable:
    """Pod versions by uid. Bounded: beyond `limit` pods, the one longest untouched goes."""

    def __init__(self, rules: Sequence[MultilineRule] = (), *, limit: int = 100_000) -> None:
        self._pods: OrderedDict[str, dict[int, PodVersion]] = OrderedDict()
        self._rules = tuple(rules)
        self._limit = limit

    def add(self, pod: PodVersion) -> bool:
        """False if this version was here already."""
        versions = self._pods.setdefault(pod.uid, {})
        self._pods.move_to_end(pod.uid)
        if pod.version in versions:
            return False
        versions[pod.version] = pod
        while len(versions) > _KEPT_VERSIONS:
            del versions[min(versions)]
        while len(self._pods) > self._limit:
            self._pods.popitem(last=False)
        return True

    def knows(self, uid: str, version: int) -> bool:
        """Is there anything better to wait for? Not for files that belong to no pod."""
        return not uid or version == 0 or self._find(uid, version) is not None

    def view(self, source: Source, version: int) -> PodView:
        """What rows of this file get. Version 0: the newest known, if any."""
        pod = self._find(source.uid, version) if source.uid else None
        pattern = self._pattern(source, pod)
        if pod is None:
            return PodView(pattern=pattern)
        return PodView(pod.workload, enriched=True, pattern=pattern)

    def _find(self, uid: str, version: int) -> PodVersion | None:
        versions = self._pods.get(uid)
        if not versions:
            return None
        if version == 0:
            return versions[max(versions)]
        return versions.get(min((v for v in versions if v >= version), default=0))

    def _pattern(self, source: Source, pod: PodVersion | None) -> str:
        """The container's annotation, the pod's, then the first rule that matches. A word that
        is no pattern (`off`) means none, also against a rule."""
        notes = pod.annotations if pod is not None else {}
        wish = notes.get(f"{ANNOTATION}.{source.container}", notes.get(ANNOTATION))
        if wish is None:
            wish = next((r.pattern for r in self._rules if r.matches(source)), "")
        return wish if wish in PATTERNS else ""
