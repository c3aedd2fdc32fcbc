"""Paths of files in volumes, as a LogConfig names them: as the container sees them. * and ? stand
for what is in a name, ** for any number of directories. Light: the collector reads them, too."""

import fnmatch
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MOST = 512
MOST_FILES = 16  # paths and patterns of one configuration
ANY = "**"
DEEPEST = 10  # directories that ** leads down to
PATTERN = r"^(/[^/\[\]]+)+$"  # RE2 and Rust read it
_NO_PLACE = f"{ANY} stands for directories: alone between two slashes, and a name behind"


class Below(NamedTuple):
    """What a pattern means of one volume: `globs` of directories below `at`, where the container
    sees `place` (record.py), then `name`. Other volumes are at `hidden`."""

    at: str
    place: str
    globs: tuple[str, ...]
    name: str
    hidden: frozenset[str]


def checked_path(text: str) -> str:
    """Raises ValueError."""
    _, *parts = text.split("/")
    if not text.startswith("/") or len(text) > MOST:
        raise ValueError(f"expected an absolute path of at most {MOST} characters")
    if any(part in ("", ".", "..") for part in parts) or "\0" in text:
        raise ValueError("a path has no empty parts, no . and no ..")
    if set(text) & set("[]"):
        raise ValueError("[ and ] may not stand in a path")
    if any(ANY in part and part != ANY for part in parts) or parts[-1] == ANY:
        raise ValueError(_NO_PLACE)
    return text


def path_matches(path: str, pattern: str) -> bool:
    globs = _parts(pattern)
    return len(globs) in _follow(globs, _parts(path))


def enter(globs: Sequence[str], states: Iterable[int], name: str) -> frozenset[int]:
    """How many of `globs` may be done once a directory called `name` is entered; `states`: how many
    before. None: nothing of them is there. Not by trying every way: many ** would take for ever."""
    found = set()
    for state in done(globs, states):
        if state < len(globs) and globs[state] == ANY:
            found.add(state)
        elif state < len(globs) and fnmatch.fnmatchcase(name, globs[state]):
            found.add(state + 1)
    return frozenset(found)


def done(globs: Sequence[str], states: Iterable[int]) -> set[int]:
    """`states`, and those that follow because ** may be no directory at all."""
    found = set(states)
    for state in states:
        while state < len(globs) and globs[state] == ANY:
            state += 1
            found.add(state)
    return found


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
                    seen[_mounted_at(str(mount["mountPath"]))] = _beneath(place, below)
            if seen:
                found.append((str(container["name"]), seen))
    return found


def _mounted_at(path: str) -> str:
    """As the kubelet and the runtime take it: `logs` is /logs."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _beneath(place: str, sub_path: str) -> str:
    """A `..` stays, to be refused."""
    inner = "/".join(part for part in sub_path.split("/") if part not in ("", "."))
    return f"{place.rstrip('/')}/{inner}" if inner else place


def places_of(pattern: str, mounted: Mapping[str, str]) -> list[Below]:
    """Where what a pattern means can be, in the volumes that a container sees; none: nowhere. The
    longest mount counts, as in the kernel."""
    globs = _parts(pattern)
    return [
        below
        for at, place in mounted.items()
        for state in sorted(_follow(globs, _parts(at)))
        if state < len(globs)
        for below in _descended(at, place, globs[state:], mounted)
    ]


def _descended(
    at: str, place: str, globs: tuple[str, ...], mounted: Mapping[str, str]
) -> Iterator[Below]:
    """As far down as there is no wildcard; nothing where another volume is in the way."""
    while len(globs) > 1 and not set(globs[0]) & set("*?"):
        at, place = posixpath.join(at, globs[0]), posixpath.join(place, globs[0])
        globs = globs[1:]
        if at in mounted:
            return
    others = (one for one in mounted if one != at and one.startswith(at.rstrip("/") + "/"))
    yield Below(at, place, globs[:-1], globs[-1], frozenset(others))


def _follow(globs: Sequence[str], names: Iterable[str]) -> frozenset[int]:
    states = frozenset({0})
    for name in names:
        states = enter(globs, states, name)
    return states


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)
