"""What a version of a log configuration says of files. Pure, and light: the model of a LogConfig
(pipeline/logconfig/spec.py) takes more memory than the agent, which needs two of its settings."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.contract.configs import ConfigVersion
from pipeline.contract.record import PodVersion
from pipeline.logconfig.aliyun_inputs import KINDS, input_of
from pipeline.logconfig.paths import MOST_FILES, checked_path
from pipeline.logconfig.select import selects

_NAMESPACED, _CLUSTER = "LogConfig", "ClusterLogConfig"
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


class Term(NamedTuple):
    key: str
    operator: str
    values: Sequence[str]


class Chosen(NamedTuple):
    """A selector."""

    match_labels: Mapping[str, str]
    match_expressions: Sequence[Term]
    containers: Sequence[str]
    pods: Sequence[str]
    namespaces: Sequence[str]


class FileWish(NamedTuple):
    """`namespace` "": of the cluster."""

    namespace: str
    name: str
    selectors: Sequence[Chosen]  # any of them
    files: Sequence[str]

    def wants(self, pod: PodVersion, container: str) -> bool:
        return (not self.namespace or self.namespace == pod.namespace) and any(
            selects(
                selector,
                namespace=pod.namespace,
                pod=pod.name,
                container=container,
                labels=pod.labels,
            )
            for selector in self.selectors
        )


def file_wish(version: ConfigVersion) -> FileWish | None:
    """None: it wishes no files. Raises ValueError for one that does, and cannot be followed."""
    document = version.object
    kind, spec = document.get("kind"), document.get("spec")
    if kind in KINDS:
        return _aliyun(document)
    if kind not in (_NAMESPACED, _CLUSTER) or not isinstance(spec, Mapping):
        return None
    files = spec.get("files")
    if not files:
        return None
    meta = _map(document.get("metadata", {}))
    namespace = str(meta.get("namespace") or "default") if kind == _NAMESPACED else ""
    if not isinstance(files, list) or len(files) > MOST_FILES:
        raise ValueError(f"files: expected a list of at most {MOST_FILES} paths")
    paths = [checked_path(str(path)) for path in files]
    chosen = _selector(_map(spec.get("selector", {})), cluster=kind == _CLUSTER)
    return FileWish(namespace, str(meta.get("name")), [chosen], paths)


def _aliyun(document: Mapping[str, Any]) -> FileWish | None:
    found = input_of(document)
    if not found.files:
        return None
    chosen = [_selector(one, cluster=True) for one in found.selectors]
    return FileWish("", str(_map(document.get("metadata", {})).get("name")), chosen, found.files)


def _selector(found: Mapping[str, Any], *, cluster: bool) -> Chosen:
    terms = []
    for one in _list(found.get("matchExpressions")):
        term = _map(one)
        if term.get("operator") not in _OPERATORS:
            raise ValueError(f"selector: operator {term.get('operator')!r} is not known")
        terms.append(Term(str(term["key"]), term["operator"], _texts(term.get("values"))))
    unknown = found.keys() - {
        "matchLabels", "matchExpressions", "containers", "pods", "namespaces",
    }  # fmt: skip
    if unknown or (found.get("namespaces") and not cluster):
        raise ValueError("selector: has keys that are not known; it may be for fewer pods")
    labels = {str(k): str(v) for k, v in _map(found.get("matchLabels", {})).items()}
    names = (_texts(found.get(key)) for key in ("containers", "pods", "namespaces"))
    return Chosen(labels, terms, *names)


def _map(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected an object, found {value!r}"[:100])
    return value


def _list(value: object) -> list[Any]:
    if value is None or isinstance(value, list):
        return value or []
    raise ValueError(f"expected a list, found {value!r}"[:100])


def _texts(value: object) -> list[str]:
    return [str(one) for one in _list(value)]
