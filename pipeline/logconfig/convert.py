"""What people have -> LogConfig and ClusterLogConfig objects, and what that leaves out.

AliyunLogConfig and pipeline objects become ClusterLogConfigs, because they are for the whole
cluster. What pods and workloads say in annotations and variables becomes a LogConfig of their
namespace for their labels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from pipeline.contract.record import PodVersion
from pipeline.contract.wishes import OWN
from pipeline.logconfig.aliyun_streams import own_files
from pipeline.logconfig.claims import Problem, Wishes
from pipeline.logconfig.manifest import pod_in
from pipeline.logconfig.objects import is_config, origin, read_object
from pipeline.logconfig.paths import places_of
from pipeline.logconfig.precedence import resolve, settings_of
from pipeline.logconfig.spec import (
    CLUSTER,
    GROUP,
    MOST_ATTRIBUTES,
    NAMESPACED,
    VERSION,
    LogConfigSpec,
    Selector,
)
from pipeline.logconfig.wishes import pod_wishes

Object = dict[str, Any]


@dataclass(slots=True)
class Conversion:
    objects: list[Object] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)


def convert(documents: Iterable[Mapping[str, Any]]) -> Conversion:
    """Objects of other kinds are passed over. LogConfigs stay as they are."""
    done = Conversion()
    for document in documents:
        if is_config(document):
            _config(document, done)
        elif (pod := pod_in(document)) is not None:
            _pod(str(document.get("kind")), pod, done)
    return done


def _config(document: Mapping[str, Any], done: Conversion) -> None:
    if document.get("kind") in (NAMESPACED, CLUSTER):
        done.objects.append(dict(document))
        return
    found = read_object(document)
    done.problems += found.problems
    done.notes += found.notes
    many = len(found.specs) > 1
    for number, spec in enumerate(found.specs, 1):
        name = f"{found.name}-{number}" if many else found.name
        _add(done, CLUSTER, "", name, spec)


def _pod(kind: str, pod: PodVersion, done: Conversion) -> None:
    where = origin(kind, pod.namespace, pod.name)
    own = {name: text for name, text in pod.annotations.items() if name.startswith(OWN)}
    containers = list(pod.images)
    for container in containers:
        name = f"{pod.name}-{container}" if len(containers) > 1 else pod.name
        wishes = pod_wishes(pod, container)
        _object_of(pod, container, wishes, (where, name), done)
        for number, (file, by) in enumerate(dict(own_files(pod, container)).items(), 1):
            wishes = _of_file(pod, container, file, by)
            _object_of(pod, container, wishes, (where, f"{name}-files-{number}"), done, file)
    if own and done.objects:
        text = f"{', '.join(sorted(own))}: outranks a LogConfig for as long as it is there"
        done.notes.append(Problem(where, text))


def _of_file(pod: PodVersion, container: str, file: str, by: str) -> Wishes:
    """Without the problems that are told of the container."""
    found = pod_wishes(pod, container, file)
    notes = []
    if not places_of(file, pod.mounts.get(container, {})):
        text = f"{file} is in no emptyDir or hostPath of container {container}: it needs one"
        notes.append(Problem(by, text))
    wrong = [one for one in found.problems if one.origin.startswith(by)]
    return Wishes(found.claims, wrong, notes)


def _object_of(
    pod: PodVersion,
    container: str,
    wishes: Wishes,
    called: tuple[str, str],
    done: Conversion,
    file: str = "",
) -> None:
    """`called`: where it comes from, for people, and the name of what is made."""
    where, name = called
    done.problems += [Problem(where, str(problem)) for problem in wishes.problems]
    done.notes += [Problem(where, str(note)) for note in wishes.notes]
    effective = resolve(wishes.claims)
    if not effective.decisions:
        return
    if not pod.labels:
        text = "it has no labels that a LogConfig could select; its annotations stay better"
        done.problems.append(Problem(where, text))
        return
    try:
        chosen = Selector(match_labels=pod.labels, containers=(container,))
    except ValidationError as error:  # labels that the API server would not take either
        wrong = error.errors(include_url=False, include_context=False)[0]["msg"]
        text = f"container {container!r:.80}: its labels and name make no selector: {wrong}"
        done.problems.append(Problem(where, text))
        return
    values = {name: decision.value for name, decision in effective.decisions.items()}
    if file:  # what is said of the container is in its own LogConfig
        of_file = [claim.settings for claim in wishes.claims if claim.settings.files]
        named = {name for one in of_file for name in settings_of(one)}
        values = {name: values[name] for name in values.keys() & named} | {"files": (file,)}
    attributes = values.get("attributes") or {}
    if len(attributes) > MOST_ATTRIBUTES:
        kept, left = list(attributes)[:MOST_ATTRIBUTES], list(attributes)[MOST_ATTRIBUTES:]
        values["attributes"] = {key: attributes[key] for key in kept}
        text = f"{MOST_ATTRIBUTES} attributes at most: {', '.join(left)} are left out"
        done.problems.append(Problem(where, text))
    spec = LogConfigSpec.model_construct(selector=chosen, **values)
    _add(done, NAMESPACED, pod.namespace, name, spec)


def _add(done: Conversion, kind: str, namespace: str, name: str, spec: LogConfigSpec) -> None:
    """Of two with one name, `kubectl apply` would keep the last."""
    called, number = name, 1
    while any(_place(one) == (kind, namespace, called) for one in done.objects):
        number += 1
        called = f"{name}-{number}"
    meta = {"name": called} | ({"namespace": namespace} if namespace else {})
    body = spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    head = {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": meta}
    done.objects.append({**head, "spec": _full(body)})


def _place(one: Object) -> tuple[Any, ...]:
    meta = one.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    return one.get("kind"), meta.get("namespace") or "", meta.get("name")


def _full(value: Any) -> Any:
    """Without what is empty."""
    if isinstance(value, dict):
        inner = {name: _full(one) for name, one in value.items()}
        return {name: one for name, one in inner.items() if one not in ({}, [], None)}
    return [_full(one) for one in value] if isinstance(value, list) else value
