"""Regular expressions on names -> globs, where that says the same."""

import re

_NAME = re.compile(r"[A-Za-z0-9-]+(?:\\?\.[A-Za-z0-9-]+)*")


def globs_of(pattern: str) -> list[str] | None:
    """`^(a|b-.*)$` -> [a, b-*]; what is not anchored may stand anywhere. None: not expressible."""
    head, tail = pattern.startswith("^"), pattern.endswith("$")
    inner = pattern[head : len(pattern) - tail]
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1].removeprefix("?:")
    elif "|" in inner and (head or tail):
        return None  # an anchor that belongs to one alternative alone
    found = []
    for part in inner.split("|"):
        glob = _glob(part, head=head, tail=tail)
        if glob is None:
            return None
        found.append(glob)
    return found


def _glob(part: str, *, head: bool, tail: bool) -> str | None:
    pieces = part.split(".*")
    if not all(piece == "" or _NAME.fullmatch(piece.strip("-")) or set(piece) == {"-"}
               for piece in pieces):  # fmt: skip
        return None
    glob = "*".join(piece.replace("\\.", ".") for piece in pieces)
    glob = ("" if head else "*") + glob + ("" if tail else "*")
    return re.sub(r"\*+", "*", glob)
