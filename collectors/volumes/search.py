"""Directories that wildcards mean, looked for on the node: not too deep and not too many."""

import posixpath
from collections.abc import Callable, Iterable, Iterator

from collectors.volumes.beneath import directories_in, nowhere
from collectors.volumes.targets import Search, View
from pipeline.logconfig.paths import DEEPEST, done, enter

MOST_DIRECTORIES = 1_000  # that are looked into for one search

Tell = Callable[[View, str], None]


def places(
    searches: Iterable[Search], tell: Tell, closed: dict[str, str]
) -> Iterator[tuple[Search, tuple[str, ...], str]]:
    """A search, parts below its root, and what its container calls that directory: for each one
    that is there now, and, unseen, for each that has no wildcard. `tell` hears what was left;
    directories of the node of which nobody knows what is below go into `closed`, with the pod's
    uid."""
    for search in searches:
        for parts, directory in _directories(search, tell, closed):
            yield search, parts, directory


def _directories(
    search: Search, tell: Tell, closed: dict[str, str]
) -> Iterator[tuple[tuple[str, ...], str]]:
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
        for name in reversed(_inner(search, parts, tell, closed)):
            inner, after = posixpath.join(directory, name), enter(globs, states, name)
            if after and inner not in search.hidden:
                waiting.append(((*parts, name), inner, after))
    return None


def _inner(search: Search, parts: tuple[str, ...], tell: Tell, closed: dict[str, str]) -> list[str]:
    try:
        return directories_in(search.root, parts)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            tell(search.view, reason(error))
        if not nowhere(error):
            closed[posixpath.join(search.root, *parts)] = search.view.uid
        return []


def reason(error: OSError) -> str:
    return f"{error.strerror}; links are not followed" if error.filename else str(error)
