"""Directories that wildcards mean, looked for on the node: not too deep and not too many."""

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from collectors.volumes.beneath import directories_in, nowhere
from collectors.volumes.targets import Search, View
from pipeline.logconfig.paths import DEEPEST, done, enter

MOST_DIRECTORIES = 1_000  # that are looked into for one search
MOST_OF_A_POD = 3_000  # … and for all of a pod: one thread looks for everybody, and reads

Tell = Callable[[View, str], None]


def places(
    searches: Iterable[Search], tell: Tell, closed: dict[str, set[str]]
) -> Iterator[tuple[Search, tuple[str, ...], str]]:
    """A search, parts below its root, and what its container calls that directory: for each one
    that is there now, and, unseen, for each that has no wildcard. `tell` hears what was left;
    directories of the node of which nobody knows what is below go into `closed`, with the pods'
    uids."""
    look = _Look(tell, closed)
    for search in searches:
        for parts, directory in _directories(search, look):
            yield search, parts, directory


def _directories(search: Search, look: "_Look") -> Iterator[tuple[tuple[str, ...], str]]:
    """Always in the same order, so that of too many the same ones are found."""
    globs, looked = search.globs, 0
    waiting = [(search.parts, search.view.directory, frozenset({0}))]
    while waiting:
        parts, directory, states = waiting.pop()
        states = frozenset(done(globs, states))
        if len(globs) in states:
            yield parts, directory
        if states <= {len(globs)} or len(parts) - len(search.parts) >= DEEPEST:
            continue
        if looked == MOST_DIRECTORIES:
            return look.tell(search.view, f"more than {MOST_DIRECTORIES} directories below")
        if look.looked[search.view.uid] == MOST_OF_A_POD:
            text = f"more than {MOST_OF_A_POD} directories for all paths of the pod"
            return look.tell(search.view, text)
        looked += 1
        for name in reversed(look.inner(search, parts)):
            inner, after = posixpath.join(directory, name), enter(globs, states, name)
            if after and inner not in search.hidden:
                waiting.append(((*parts, name), inner, after))
    return None


class _Look:
    """Around all volumes, once: many patterns mean the same directories."""

    def __init__(self, tell: Tell, closed: dict[str, set[str]]) -> None:
        self.tell = tell
        self.looked: Counter[str] = Counter()  # by the pod's uid
        self._closed = closed
        self._inner: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def inner(self, search: Search, parts: tuple[str, ...]) -> list[str]:
        self.looked[search.view.uid] += 1
        known = self._inner.get((search.root, parts))
        if known is None:
            known = self._inner[search.root, parts] = self._listed(search, parts)
        if (path := posixpath.join(search.root, *parts)) in self._closed:
            self._closed[path].add(search.view.uid)
        return known

    def _listed(self, search: Search, parts: tuple[str, ...]) -> list[str]:
        try:
            return directories_in(search.root, parts)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self.tell(search.view, reason(error))
            if not nowhere(error):
                self._closed[posixpath.join(search.root, *parts)] = set()
            return []


def reason(error: OSError) -> str:
    return f"{error.strerror}; links are not followed" if error.filename else str(error)
