"""Directories that wildcards mean, looked for on the node: not too deep and not too many."""

import posixpath
from collections.abc import Callable, Iterable, Iterator

from collectors.volumes.beneath import directories_in
from collectors.volumes.targets import Search, View
from pipeline.logconfig.paths import DEEPEST, done, enter

MOST_DIRECTORIES = 1_000  # that are looked into for one search

Tell = Callable[[View, str], None]


def places(searches: Iterable[Search], tell: Tell) -> Iterator[tuple[Search, tuple[str, ...], str]]:
    """A search, parts below its root, and what its container calls that directory: for each one
    that is there now, and, unseen, for each that has no wildcard. `tell` hears what was left."""
    for search in searches:
        for parts, directory in _directories(search, tell):
            yield search, parts, directory


def _directories(search: Search, tell: Tell) -> Iterator[tuple[tuple[str, ...], str]]:
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
            return tell(search.view, f"more than {MOST_DIRECTORIES} directories below")
        looked += 1
        for name in reversed(_inner(search, parts, tell)):
            inner, after = posixpath.join(directory, name), enter(globs, states, name)
            if after and inner not in search.hidden:
                waiting.append(((*parts, name), inner, after))
    return None


def _inner(search: Search, parts: tuple[str, ...], tell: Tell) -> list[str]:
    try:
        return directories_in(search.root, parts)
    except FileNotFoundError:
        return []
    except OSError as error:
        tell(search.view, reason(error))
        return []


def reason(error: OSError) -> str:
    return f"{error.strerror}; links are not followed" if error.filename else str(error)
