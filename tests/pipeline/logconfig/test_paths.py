"""What patterns of paths mean: of a path, and of the volumes that a container sees."""

import fnmatch
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.logconfig.paths import ANY, checked_path, mounts, path_matches, places_of

_NAMES = st.sampled_from(["a", "b", "ab", "log"])
_GLOBS = st.sampled_from(["a", "b", "*", "a*", "?", ANY])
_PATHS = st.lists(_NAMES, min_size=1, max_size=6).map(lambda parts: "/" + "/".join(parts))
_PATTERNS = st.tuples(st.lists(_GLOBS, max_size=5), st.sampled_from(["a", "*", "?", "l*"])).map(
    lambda of: "/" + "/".join([*of[0], of[1]])
)


def by_trying(parts: list[str], globs: list[str]) -> bool:
    if not globs:
        return not parts
    if globs[0] == ANY and by_trying(parts, globs[1:]):
        return True
    rest = globs if globs[0] == ANY else globs[1:]
    return bool(parts) and fnmatch.fnmatchcase(parts[0], globs[0]) and by_trying(parts[1:], rest)


@given(_PATHS, _PATTERNS)
def test_a_pattern_means_what_trying_every_way_finds(path: str, pattern: str) -> None:
    assert checked_path(pattern) == pattern
    expected = by_trying(path.split("/")[1:], pattern.split("/")[1:])
    assert path_matches(path, pattern) == expected


def test_many_wildcards_are_no_trap() -> None:
    pattern, path = "/**/a" * 100 + "/x", "/a" * 200
    assert not path_matches(path, pattern)  # every way would take for ever


@given(
    _PATTERNS,
    st.dictionaries(_PATHS | st.just("/"), st.sampled_from(["v", "w", "/host"]), max_size=4),
    _PATHS,
)
def test_a_file_is_in_the_volume_with_the_longest_mount(
    pattern: str, mounted: dict[str, str], path: str
) -> None:
    """Of a file that a pattern means there is exactly its own place, whoever lists directories."""
    directory, name = posixpath.split(path)
    above = [directory[:end] or "/" for end in range(len(directory) + 1)
             if end in (0, len(directory)) or directory[end] == "/"]  # fmt: skip
    mount = max((one for one in above if one in mounted), key=len, default=None)
    found = set()
    for below in places_of(pattern, mounted):
        inner = directory.removeprefix(below.at.rstrip("/")).strip("/")
        if directory != below.at and not directory.startswith(below.at.rstrip("/") + "/"):
            continue
        if any(one in below.hidden for one in above) or not fnmatch.fnmatchcase(name, below.name):
            continue
        if by_trying([part for part in inner.split("/") if part], list(below.globs)):
            found.add(posixpath.join(below.place, inner, name))
    if mount is None or not path_matches(path, pattern):
        assert not found
    else:
        assert found == {posixpath.join(mounted[mount], path[len(mount) :].lstrip("/"))}


@pytest.mark.parametrize(
    ("pattern", "places"),
    [
        ("/logs/app.log", ["/logs v () app.log"]),
        ("/logs/a/b/*.log", ["/logs/a/b v/a/b () *.log"]),
        ("/logs/deep/app.log", ["/logs/deep /srv () app.log"]),
        ("/logs/*/app.log", ["/logs v (*) app.log", "/logs/deep /srv () app.log"]),
        ("/**/app.log", ["/logs v (**) app.log", "/logs/deep /srv (**) app.log"]),
        ("/opt/app.log", []),
        ("/logs", []),
    ],
)
def test_places(pattern: str, places: list[str]) -> None:
    found = places_of(pattern, {"/logs": "v", "/logs/deep": "/srv"})
    assert [f"{b.at} {b.place} ({' '.join(b.globs)}) {b.name}" for b in found] == places


@pytest.mark.parametrize(
    ("path", "sub_path", "seen"),
    [
        ("/logs", "", {"/logs": "v"}),
        ("logs", "", {"/logs": "v"}),
        ("//logs/", "./a//b/", {"/logs": "v/a/b"}),
        ("/x/../logs/.", ".", {"/logs": "v"}),
        ("/", "..", {"/": "v/.."}),
    ],
)
def test_mounts_are_where_the_runtime_makes_them(
    path: str, sub_path: str, seen: dict[str, str]
) -> None:
    """The API server takes more than a path in its plain form."""
    mount = {"name": "v", "mountPath": path, "subPath": sub_path}
    spec = {"volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{"name": "main", "volumeMounts": [mount]}]}  # fmt: skip
    assert mounts(spec) == [("main", seen)]
