"""Wishes and pods -> directories of the node, and what to look for there. Pure."""

import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from collectors.volumes.wish import FileWish
from pipeline.contract.record import PodVersion
from pipeline.logconfig.aliyun_streams import own_files
from pipeline.logconfig.paths import place_of

# Of what the kubelet makes directories: a uid, the name of a volume.
_SAFE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class Target(NamedTuple):
    """Files of a container whose names match `glob`, in root/parts[0]/…; no link is followed below
    `root`. `directory` is the same place as the container sees it."""

    uid: str
    namespace: str
    pod: str
    container: str
    directory: str
    glob: str
    root: str
    parts: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"volume:{self.uid}/{self.container}:{posixpath.join(self.directory, self.glob)}"

    @property
    def path(self) -> str:
        """On the node."""
        return posixpath.join(self.root, *self.parts)


class Refused(NamedTuple):
    """A wish that is not followed for a pod."""

    pod: str
    path: str
    why: str


def targets(
    wishes: Iterable[FileWish],
    pods: Sequence[PodVersion],
    *,
    kubelet_pods: str,
    host_paths: Sequence[str],
) -> tuple[list[Target], list[Refused]]:
    """A directory that two containers see is read once, as the first one's."""
    found: dict[tuple[str, str], Target] = {}
    refused: dict[Refused, None] = {}
    wishes = list(wishes)
    for pod in pods:
        for container, mounted in pod.mounts.items():
            for path in _wished(wishes, pod, container):
                place = place_of(path, mounted)
                if place is None:
                    continue  # another container's path
                where = _node_path(pod.uid, place, kubelet_pods, host_paths)
                if isinstance(where, str):
                    refused[Refused(f"{pod.namespace}/{pod.name}", path, where)] = None
                    continue
                root, parts = where
                directory, glob = posixpath.split(path)
                target = Target(
                    pod.uid, pod.namespace, pod.name, container, directory, glob, root, parts
                )
                found.setdefault((target.path, glob), target)
    return list(found.values()), list(refused)


def _wished(wishes: Iterable[FileWish], pod: PodVersion, container: str) -> list[str]:
    chosen = (wish for wish in wishes if wish.wants(pod, container))
    own = [path for path, _ in own_files(pod, container)]
    return list(dict.fromkeys([*(path for wish in chosen for path in wish.files), *own]))


def _node_path(
    uid: str, place: str, kubelet_pods: str, host_paths: Sequence[str]
) -> tuple[str, tuple[str, ...]] | str:
    """(root, parts) of the directory, or why not."""
    inner = posixpath.dirname(place)
    parts = tuple(part for part in inner.split("/") if part)
    if ".." in parts or "." in parts:
        return "a volume's path has . or .."
    if not place.startswith("/"):
        if not (_SAFE.fullmatch(uid) and _SAFE.fullmatch(parts[0])):
            return "the pod's uid or the volume's name is no name of a directory"
        return kubelet_pods, (uid, "volumes", "kubernetes.io~empty-dir", *parts)
    for root in sorted(host_paths, key=len, reverse=True):
        trusted = tuple(part for part in root.split("/") if part)
        if parts[: len(trusted)] == trusted:
            return root, parts[len(trusted) :]
    return f"hostPath {inner} is not below any of volumes.host_paths"
