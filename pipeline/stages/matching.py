"""Which bodies a pattern matches, without asking each: all are searched as one text, and only those
that a match touches are looked at one by one.

That is exact. Wherever a match within a body begins, the search over the whole text finds it, or
one that overlaps that body; a line break between two bodies is to a pattern what their ends are.
Only patterns that ask where the text begins or ends are tried on each body.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.stages.lines import Mask

_EDGES = re.compile(rb"(?<!\[)\^|\\\[\^|\$|\\[AzZ]")  # ^, but not of a class [^…]
_BY_LINE = re.compile(rb"\(\?i?m\)")  # then ^ and $ are those of lines, also of the joined text


def matching(patterns: Sequence[Any], bodies: Sequence[bytes]) -> Mask:
    """Bodies that any of these matches."""
    found = np.zeros(len(bodies), np.bool_)
    for pattern in patterns:
        for at in touched(pattern, bodies):
            found[at] = found[at] or pattern.search(bodies[at]) is not None
    return found


def touched(pattern: Any, bodies: Sequence[bytes]) -> Sequence[int]:
    """Bodies that may hold a match; no other does."""
    if len(bodies) < 2 or _looks_at_edges(pattern.pattern):
        return range(len(bodies))
    text = b"\n".join(bodies)
    if pattern.search(text) is None:
        return ()
    ends = np.cumsum([len(body) + 1 for body in bodies])
    marks = np.zeros(len(bodies) + 1, np.int64)
    spans = np.array([match.span() for match in pattern.finditer(text)], np.int64)
    first = np.searchsorted(ends, spans[:, 0], side="right")
    last = np.searchsorted(ends, np.maximum(spans[:, 1] - 1, spans[:, 0]), side="right")
    np.add.at(marks, np.minimum(first, len(bodies) - 1), 1)
    np.add.at(marks, np.minimum(last, len(bodies) - 1) + 1, -1)
    touched_by: list[int] = np.flatnonzero(np.cumsum(marks[:-1]) > 0).tolist()
    return touched_by


def _looks_at_edges(pattern: bytes) -> bool:
    by_line = _BY_LINE.match(pattern)
    return bool(
        _EDGES.search(pattern.replace(b"^", b"").replace(b"$", b"") if by_line else pattern)
    )
