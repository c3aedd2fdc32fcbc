"""Custom resources that say how logs are wished: a version of one, read once.

What cannot be followed is a problem and not an error: logs are never stopped by what somebody
wrote. `since_ms` is when the version was written, by the API server's own clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.logconfig.aliyun import converted
from pipeline.logconfig.aliyun_inputs import KINDS
from pipeline.logconfig.claims import Claim, Problem, Rank
from pipeline.logconfig.complaints import BadSettings, dotted
from pipeline.logconfig.paths import path_matches
from pipeline.logconfig.reading import read_spec
from pipeline.logconfig.select import selects
from pipeline.logconfig.spec import CLUSTER, GROUP, NAMESPACED, LogConfigSpec, Selector

OURS = (f"{NAMESPACED} ", f"{CLUSTER} ")  # how origins of our own objects begin
_RANKS = {NAMESPACED: Rank.LOG_CONFIG, CLUSTER: Rank.CLUSTER_LOG_CONFIG}


@dataclass(frozen=True, slots=True)
class ConfigObject:
    """`namespace` "" for those of the cluster."""

    kind: str
    namespace: str
    name: str
    uid: str
    since_ms: int
    rank: Rank
    specs: Sequence[LogConfigSpec] = ()
    problems: Sequence[Problem] = ()
    notes: Sequence[Problem] = ()
    meant: Selector | None = None  # of one with problems, if that much could be read

    @property
    def origin(self) -> str:
        """For people."""
        return origin(self.kind, self.namespace, self.name)

    def may_concern(self, namespace: str) -> bool:
        return self.kind != NAMESPACED or self.namespace == namespace

    def chosen(
        self, *, namespace: str, pod: str, container: str, labels: Mapping[str, str], file: str = ""
    ) -> LogConfigSpec | None:
        """Its settings for what a container prints, or for a file of it. Container "" asks about
        the pod alone."""
        of: Any = {"namespace": namespace, "pod": pod, "container": container, "labels": labels}
        fits = (spec for spec in self.selecting(**of) if _concerns(spec, file))
        return next(fits, None)

    def selecting(
        self, *, namespace: str, pod: str, container: str, labels: Mapping[str, str]
    ) -> Iterator[LogConfigSpec]:
        """Its settings for a container, whatever of it they are for."""
        of: Any = {"namespace": namespace, "pod": pod, "container": container, "labels": labels}
        for spec in self.specs if self.may_concern(namespace) else ():
            if selects(spec.selector, **of):
                yield spec

    def means(self, *, namespace: str, pod: str, container: str, labels: Mapping[str, str]) -> bool:
        """Is it one with problems, for this container?"""
        return (
            self.meant is not None
            and self.may_concern(namespace)
            and selects(
                self.meant, namespace=namespace, pod=pod, container=container, labels=labels
            )
        )

    def claim(self, spec: LogConfigSpec) -> Claim:
        return Claim(self.rank, self.origin, spec, self.since_ms)


def _concerns(spec: LogConfigSpec, file: str) -> bool:
    """Who names files speaks of them alone."""
    return spec.files is None or any(path_matches(file, pattern) for pattern in spec.files)


def origin(kind: str, namespace: str, name: str) -> str:
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def is_config(document: Mapping[str, Any]) -> bool:
    kind, version = document.get("kind"), str(document.get("apiVersion", ""))
    if not isinstance(kind, str):
        return False
    if kind in _RANKS:
        return version.startswith(f"{GROUP}/") or not version
    return kind in KINDS


def read_object(document: Mapping[str, Any], *, since_ms: int = 0) -> ConfigObject:
    """Never raises for what is in the spec. The document must be one that `is_config` takes."""
    kind = str(document["kind"])
    meta = document.get("metadata")
    meta = meta if isinstance(meta, Mapping) else {}
    cluster = kind != NAMESPACED
    namespace = "" if cluster else str(meta.get("namespace") or "default")
    name, uid = str(meta.get("name") or "?"), str(meta.get("uid") or "")
    where = origin(kind, namespace, name)
    rank = _RANKS.get(kind, Rank.ALIYUN_RESOURCE)
    specs: Sequence[LogConfigSpec] = ()
    notes: Sequence[Problem] = ()
    problems: Sequence[Problem] = ()
    meant = None
    try:
        if kind in _RANKS:
            specs = [read_spec(document.get("spec"), cluster=cluster)]
        else:
            made = converted(document)
            specs, notes = made.specs, [Problem(where, note) for note in made.notes]
    except BadSettings as error:
        problems = [Problem(where, f"{dotted(path)}: {text}") for path, text in error.complaints]
        meant = _meant(document, cluster=cluster) if kind in _RANKS else None
    return ConfigObject(kind, namespace, name, uid, since_ms, rank, specs, problems, notes, meant)


def _meant(document: Mapping[str, Any], *, cluster: bool) -> Selector | None:
    spec = document.get("spec")
    if not isinstance(spec, Mapping):
        return None
    try:
        return read_spec({"selector": spec.get("selector", {})}, cluster=cluster).selector
    except BadSettings:
        return None
