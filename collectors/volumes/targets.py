"""Wishes and pods -> directories of the node, and what to look for there. Pure."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from collectors.volumes.wish import FileWish
from pipeline.contract.record import VOLUME, PodVersion
from pipeline.logconfig.aliyun_streams import own_files
from pipeline.logconfig.paths import Below, places_of

# Of what the kubelet makes directories: a uid, the name of a volume.
_SAFE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class View(NamedTuple):
    """Files whose names match `glob`, as a container sees them in `directory`."""

    uid: str
    namespace: str
    pod: str
    container: str
    directory: str
    glob: str


class Search(NamedTuple):
    """Directories that `globs` mean (paths.py) below root/parts[0]/…, which is what the container
    sees at `view.directory`; without globs it is that one. No link is followed below `root`, and
    where the container sees another volume (`hidden`) nothing is looked for."""

    view: View
    root: str
    parts: tuple[str, ...]
    globs: tuple[str, ...]
    hidden: frozenset[str]


class Target(NamedTuple):
    """A directory root/parts[0]/…; the first view whose glob matches says whose a file is."""

    root: str
    parts: tuple[str, ...]
    views: tuple[View, ...]

    @property
    def place(self) -> str:
        return f"{VOLUME}{self.path}"

    @property
    def path(self) -> str:
        """On the node."""
        return posixpath.join(self.root, *self.parts)


class Refused(NamedTuple):
    """A wish that is not followed for a pod."""

    pod: str
    path: str
    why: str


def searches(
    wishes: Iterable[FileWish],
    pods: Sequence[PodVersion],
    *,
    kubelet_pods: str,
    host_paths: Sequence[str],
) -> tuple[list[Search], list[Refused]]:
    """In the order of pods and their containers."""
    found: dict[Search, None] = {}
    refused: dict[Refused, None] = {}
    wishes = list(wishes)
    for pod in pods:
        for container, mounted in pod.mounts.items():
            for path in _wished(wishes, pod, container):
                for below in places_of(path, mounted):  # none: another container's path
                    where = _node_path(pod.uid, below, kubelet_pods, host_paths)
                    if isinstance(where, str):
                        refused[Refused(f"{pod.namespace}/{pod.name}", path, where)] = None
                        continue
                    view = View(pod.uid, pod.namespace, pod.name, container, below.at, below.name)
                    found[Search(view, *where, below.globs, below.hidden)] = None
    return list(found), list(refused)


def targets(places: Iterable[tuple[Search, tuple[str, ...], str]]) -> list[Target]:
    """Of directories that were found: a search, parts below its root, what its container calls it.
    One that two containers or patterns mean is read once."""
    found: dict[str, Target] = {}
    for search, parts, directory in places:
        view = search.view._replace(directory=directory)
        new = Target(search.root, parts, (view,))
        same = found.setdefault(new.path, new)
        if view not in same.views:
            found[new.path] = same._replace(views=(*same.views, view))
    return list(found.values())


def _wished(wishes: Iterable[FileWish], pod: PodVersion, container: str) -> Iterator[str]:
    for wish in wishes:
        if wish.wants(pod, container):
            yield from wish.files
    yield from (path for path, _ in own_files(pod, container))


def _node_path(
    uid: str, below: Below, kubelet_pods: str, host_paths: Sequence[str]
) -> tuple[str, tuple[str, ...]] | str:
    """(root, parts) of a directory in a volume, or why not."""
    place = below.place
    if not (_is_path(place) and _is_path(below.at)):
        return "a volume's path has characters that no path has"
    parts = tuple(part for part in place.split("/") if part)
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
    return f"hostPath {place} is not below any of volumes.host_paths"


def _is_path(text: str) -> bool:
    """Whoever wrote the pod may have written anything as a subPath."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)
