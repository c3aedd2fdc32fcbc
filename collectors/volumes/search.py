"""Directories that wildcards mean, looked for on the node: not too deep and not too many."""

import posixpath
from collections.abc import Callable, Iterable, Iterator

from collectors.volumes.beneath import directories_in, nowhere
from collectors.volumes.targets import Search, View
from pipeline.logconfig.paths import DEEPEST, done, enter

MOST_DIRECTORIES = 1_000  # that are entered for one path of a container
MOST_IN_ALL = 5_000  # at 50 us each: the agent reads no file meanwhile

Place = tuple[Search, tuple[str, ...], str]


class Look:
    """One look at the node. `tell` hears what was left out. `entered` counts directories; in
    `closed` are those of which nobody knows what is below, with their pods' uids."""

    def __init__(self, tell: Callable[[View, str], None]) -> None:
        self.entered = 0
        self.closed: dict[str, str] = {}
        self._tell = tell

    def places(self, searches: Iterable[Search]) -> Iterator[Place]:
        """A search, parts below its root, and what its container calls that directory: for each
        one that is there now, and, unseen, for each that has no wildcard."""
        for search in searches:
            for parts, directory in self._directories(search):
                yield search, parts, directory

    def _directories(self, search: Search) -> Iterator[tuple[tuple[str, ...], str]]:
        """Always in the same order, so that of too many the same ones are found."""
        globs, most = search.globs, self.entered + MOST_DIRECTORIES
        waiting = [(search.parts, search.view.directory, frozenset({0}))]
        while waiting:
            parts, directory, states = waiting.pop()
            states = frozenset(done(globs, states))
            if len(globs) in states:
                yield parts, directory
            if states <= {len(globs)} or len(parts) - len(search.parts) >= DEEPEST:
                continue
            if self.entered == min(most, MOST_IN_ALL):
                return self._tell(search.view, "too many directories below: some are not read")
            self.entered += 1
            for name in reversed(self._inner(search, parts)):
                inner, after = posixpath.join(directory, name), enter(globs, states, name)
                if after and inner not in search.hidden:
                    waiting.append(((*parts, name), inner, after))
        return None

    def _inner(self, search: Search, parts: tuple[str, ...]) -> list[str]:
        try:
            return directories_in(search.root, parts)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._tell(search.view, reason(error))
            if not nowhere(error):
                self.closed[posixpath.join(search.root, *parts)] = search.view.uid
            return []


def reason(error: OSError) -> str:
    return f"{error.strerror}; links are not followed" if error.filename else str(error)
