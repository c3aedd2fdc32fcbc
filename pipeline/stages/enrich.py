"""Pod versions and log configurations -> what rows need of them. Joined once per chunk, never per
line.

A table of the newest versions per pod, in memory. A chunk names the version that its collector
knew when it read the bytes; that version is taken if it is here. The pods topic is compacted,
so an old version may be gone: then the oldest newer one is the nearest to the truth.
"""

import fnmatch
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.contract.record import PodVersion, Source
from pipeline.logconfig.claims import Claim, Rank, Wishes
from pipeline.logconfig.precedence import resolve
from pipeline.logconfig.reading import settings
from pipeline.logconfig.wishes import object_wishes, pod_wishes
from pipeline.stages.configs import ConfigTable
from pipeline.stages.multiline import OFF
from pipeline.stages.rows import PodView
from pipeline.stages.treatment import multiline_of, treatment

_KEPT_VERSIONS = 8
_KEPT_VIEWS = 50_000
_Key = tuple[str, str, str, str, int, int, float]


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
    """Pod versions by uid. Bounded: beyond `limit` pods, the one longest untouched goes. Views are
    kept, so that chunks that are treated alike share one object."""

    def __init__(
        self,
        rules: Sequence[MultilineRule] = (),
        *,
        configs: ConfigTable | None = None,
        limit: int = 100_000,
    ) -> None:
        self.configs = configs or ConfigTable()
        self._pods: OrderedDict[str, dict[int, PodVersion]] = OrderedDict()
        self._rules = tuple(rules)
        self._limit = limit
        self._views: dict[_Key, PodView] = {}
        self._epochs = 0

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

    def view(self, source: Source, version: int, at_ms: int) -> PodView:
        """What rows of this file get that was read at `at_ms`. Version 0: the newest known, if
        any. Host files are nobody's to configure."""
        if not source.uid:
            return PodView(pattern=self._rule(source))
        pod = self._find(source.uid, version)
        if self._epochs != self.configs.epochs or len(self._views) > _KEPT_VIEWS:
            self._views.clear()
            self._epochs = self.configs.epochs
        moment = self.configs.moment(at_ms)
        known = pod.version if pod is not None else -1
        share = self.configs.share(source.namespace, at_ms)
        key = (source.uid, source.pod, source.container, source.file, known, moment, share)
        found = self._views.get(key)
        if found is None:
            found = self._views[key] = self._made(source, pod, moment, share)
        return found

    def _made(self, source: Source, pod: PodVersion | None, moment: int, share: float) -> PodView:
        """Of a pod that is not known count the objects that ask for no label."""
        bare = pod or PodVersion(source.uid, source.pod, source.namespace, source.node, 0)
        wishes = pod_wishes(bare, source.container, source.file)
        valid = self.configs.valid(moment)
        wishes += object_wishes(valid, bare, source.container, source.file)
        pattern = self._rule(source)
        if pattern:
            rule = settings(multiline={"trace": pattern})
            wishes += Wishes([Claim(Rank.PROCESSOR, "log processor's configuration", rule)])
        wished = multiline_of(resolve(wishes.claims)) or OFF
        made = treatment(wishes.claims, wishes.problems, file=source.file, share=share)
        return PodView(
            pod.workload if pod is not None else "",
            enriched=pod is not None,
            pattern="" if wished == OFF else wished,
            treatment=made,
        )

    def _find(self, uid: str, version: int) -> PodVersion | None:
        versions = self._pods.get(uid)
        if not versions:
            return None
        if version == 0:
            return versions[max(versions)]
        return versions.get(min((v for v in versions if v >= version), default=0))

    def _rule(self, source: Source) -> str:
        """The first of the processor's own rules that matches."""
        return next((rule.pattern for rule in self._rules if rule.matches(source)), "")
