"""Where `explain pod` has a pod and the LogConfigs from: manifests, or what is recorded."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.errors import UsageError
from pipeline.console.logconfig_files import yaml_files
from pipeline.console.logconfig_text import Explained, explained, lines, sample_lines
from pipeline.contract.record import PodVersion, decode_pod
from pipeline.contract.wishes import CONFIG_RESOURCES
from pipeline.logconfig.documents import documents
from pipeline.logconfig.manifest import pod_in
from pipeline.logconfig.objects import ConfigObject, is_config, read_object
from pipeline.store.protocol import Store


@dataclass(frozen=True, slots=True)
class LogsOfPod:
    """A section of what is explained about a pod."""

    pod: PodVersion
    containers: Sequence[Explained]
    sample: bytes | None = None

    def document(self) -> dict[str, Any]:
        return {"containers": [one.document() for one in self.containers]}

    def lines(self) -> Iterator[str]:
        yield from lines(self.pod, self.containers)
        if self.sample is not None:
            for one in self.containers:
                yield from sample_lines(one, self.pod, self.sample)


def from_manifests(
    pod: str, paths: Sequence[Path], *, container: str | None, sample: Path | None
) -> LogsOfPod:
    """A pod, or a workload that makes such pods, and LogConfigs, all from files."""
    found: list[PodVersion] = []
    objects: list[ConfigObject] = []
    for path in yaml_files(paths):
        for document in documents(path):
            if is_config(document.value):
                objects.append(read_object(document.value))
            elif (one := pod_in(document.value)) is not None:
                found.append(one)
    chosen = next((one for one in found if f"{one.namespace}/{one.name}" == pod), None)
    if chosen is None:
        known = ", ".join(f"{one.namespace}/{one.name}" for one in found) or "none"
        raise UsageError(f"no pod or workload {pod} in these files; there is {known}")
    return _of(chosen, objects, container=container, sample=sample)


def from_store(
    store: Store, pod: str, *, container: str | None, sample: Path | None
) -> LogsOfPod | None:
    """The newest version of the pod that is recorded; None if there is none."""
    namespace, _, name = pod.partition("/")
    rows = store.query(
        "SELECT document FROM pods WHERE namespace = {namespace:String} AND pod = {name:String}"
        " ORDER BY version DESC LIMIT 1",
        {"namespace": namespace, "name": name},
    ).rows
    if not rows:
        return None
    text = rows[0][0]
    version = decode_pod(text.encode() if isinstance(text, str) else text)
    found = store.query(
        "SELECT argMax(document, ko) FROM objects WHERE resource IN {names:Array(String)} "
        "GROUP BY resource, uid HAVING argMax(type, ko) != 'DELETED' ORDER BY max(ko)",
        {"names": list(CONFIG_RESOURCES)},
    ).rows
    objects = [read_object(one) for (text,) in found if is_config(one := json.loads(text))]
    return _of(version, objects, container=container, sample=sample)


def _of(
    pod: PodVersion, objects: Sequence[ConfigObject], *, container: str | None, sample: Path | None
) -> LogsOfPod:
    containers = explained(pod, objects)
    if container is not None:
        containers = [one for one in containers if one.container == container]
        if not containers:
            known = ", ".join(pod.images) or "none"
            raise UsageError(f"pod {pod.name} has no container {container!r}; it has {known}")
    return LogsOfPod(pod, containers, _read(sample) if sample is not None else None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot read the sample: {error.strerror}") from error
