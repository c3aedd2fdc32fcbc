"""Directories that wildcards mean, looked for on the node: not too deep and not too many."""

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from collectors.volumes.beneath import directories_in, nowhere
from collectors.volumes.targets import Search, View
from pipeline.logconfig.paths import DEEPEST, done, enter

MOST_DIRECTORIES = 1_000  # that are looked into for one path of a container
MOST_OF_A_POD = 3_000  # … for all paths of a pod
MOST_IN_ALL = 5_000  # … and on the node: at 50 us each, and the thread that looks also reads

Place = tuple[Search, tuple[str, ...], str]


class Look:
    """Around all volumes, once: many patterns mean the same directories. `tell` hears what was
    left out. `entered` counts directories; in `closed` are those of the node of which nobody knows
    what is below, with the uids of the pods that asked."""

    def __init__(self, tell: Callable[[View, str], None]) -> None:
        self.entered = 0
        self.closed: dict[str, set[str]] = {}
        self._tell = tell
        self._looked: Counter[str] = Counter()  # by the pod's uid
        self._inner: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def places(self, searches: Iterable[Search]) -> Iterator[Place]:
        """A search, parts below its root, and what its container calls that directory: for each
        one that is there now, and, unseen, for each that has no wildcard."""
        for search in searches:
            for parts, directory in self._directories(search):
                yield search, parts, directory

    def _directories(self, search: Search) -> Iterator[tuple[tuple[str, ...], str]]:
        """Always in the same order, so that of too many the same ones are found."""
        globs, before = search.globs, self._looked[search.view.uid]
        waiting = [(search.parts, search.view.directory, frozenset({0}))]
        while waiting:
            parts, directory, states = waiting.pop()
            states = frozenset(done(globs, states))
            if len(globs) in states:
                yield parts, directory
            if states <= {len(globs)} or len(parts) - len(search.parts) >= DEEPEST:
                continue
            if self._too_many(search, before):
                return
            for name in reversed(self._names(search, parts)):
                inner, after = posixpath.join(directory, name), enter(globs, states, name)
                if after and inner not in search.hidden:
                    waiting.append(((*parts, name), inner, after))

    def _too_many(self, search: Search, before: int) -> bool:
        looked = self._looked[search.view.uid]
        why = ""
        if looked - before == MOST_DIRECTORIES:
            why = f"more than {MOST_DIRECTORIES} directories below"
        elif looked >= MOST_OF_A_POD:
            why = f"more than {MOST_OF_A_POD} directories for all paths of the pod"
        elif self.entered >= MOST_IN_ALL:
            why = f"more than {MOST_IN_ALL} directories for all pods of the node"
        if why:
            self._tell(search.view, why)
        return bool(why)

    def _names(self, search: Search, parts: tuple[str, ...]) -> list[str]:
        self._looked[search.view.uid] += 1
        known = self._inner.get((search.root, parts))
        if known is None:
            self.entered += 1
            known = self._inner[search.root, parts] = self._listed(search, parts)
        if (path := posixpath.join(search.root, *parts)) in self.closed:
            self.closed[path].add(search.view.uid)
        return known

    def _listed(self, search: Search, parts: tuple[str, ...]) -> list[str]:
        try:
            return directories_in(search.root, parts)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._tell(search.view, reason(error))
            if not nowhere(error):
                self.closed[posixpath.join(search.root, *parts)] = set()
            return []


def reason(error: OSError) -> str:
    return f"{error.strerror}; links are not followed" if error.filename else str(error)
