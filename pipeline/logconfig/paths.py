"""Paths of files in volumes, as a LogConfig names them: as the container sees them. Light: the
collector reads them, too."""

import fnmatch
import posixpath
from collections.abc import Mapping
from typing import Any

MOST = 512
MOST_FILES = 16  # paths and patterns of one configuration
PATTERN = r"^(/[^/*?\[\]]+)*/[^/\[\]]+$"  # wildcards in the last part only; RE2 and Rust read it


def checked_path(text: str) -> str:
    """Raises ValueError."""
    parts = text.split("/")
    if not text.startswith("/") or len(text) > MOST:
        raise ValueError(f"expected an absolute path of at most {MOST} characters")
    if any(part in ("", ".", "..") for part in parts[1:]) or "\0" in text:
        raise ValueError("a path has no empty parts, no . and no ..")
    if any(sign in part for part in parts[1:-1] for sign in "*?") or set(text) & set("[]"):
        raise ValueError("* and ? may stand in the last part only; [ and ] not at all")
    return text


def path_matches(path: str, pattern: str) -> bool:
    directory, name = posixpath.split(path)
    wanted, glob = posixpath.split(pattern)
    return directory == wanted and fnmatch.fnmatchcase(name, glob)


def mounts(spec: Mapping[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """Of a pod's spec, per container: where it sees a directory -> what that is (record.py). A
    subPathExpr is known to the kubelet alone."""
    places: dict[str, str] = {}
    for volume in spec.get("volumes") or ():
        if "emptyDir" in volume:
            places[str(volume["name"])] = str(volume["name"])
        elif volume.get("hostPath"):
            places[str(volume["name"])] = str(volume["hostPath"]["path"]).rstrip("/") or "/"
    found = []
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group) or ():
            seen = {}
            for mount in container.get("volumeMounts") or ():
                place, below = places.get(str(mount["name"])), str(mount.get("subPath") or "")
                if place is not None and not mount.get("subPathExpr"):
                    where = f"{place.rstrip('/')}/{below}" if below else place
                    seen[str(mount["mountPath"]).rstrip("/") or "/"] = where
            if seen:
                found.append((str(container["name"]), seen))
    return found


def place_of(path: str, mounted: Mapping[str, str]) -> str | None:
    """Of a path in a container: the same path as NAME/… of an emptyDir or absolute on the host;
    None if it is in neither. The longest mount counts, as in the kernel."""
    at, _ = posixpath.split(path)
    while at not in mounted:
        if at == "/":
            return None
        at = posixpath.dirname(at)
    return posixpath.join(mounted[at], path[len(at) :].lstrip("/"))
