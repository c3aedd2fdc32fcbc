"""Regular expressions that people write: RE2 only, so that none can take exponential time."""

import re
from functools import lru_cache
from typing import Any

import re2

_OF_CHARACTERS = re.compile(r"\\(?:[pP]|x\{)")
_MAX_MEMORY = 1 << 20  # of a compiled program


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """Raises ValueError. A pattern in ASCII looks at bytes, so that bodies that are not UTF-8 hide
    nothing from it (Latin-1 is how RE2 calls that); others look at characters."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    if pattern.isascii() and not _OF_CHARACTERS.search(pattern):
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not an RE2 pattern: {text}") from None


def checked(pattern: str) -> str:
    """The pattern, if RE2 takes it."""
    compiled(pattern)
    return pattern


def checked_replacement(pattern: str, text: str) -> str:
    """The text, if it can stand for what the pattern matches: its groups are the pattern's."""
    empty = compiled("|" + pattern).search(b"")  # matches at once, with the same groups
    try:
        empty.expand(text.encode())
    except (LookupError, ValueError) as error:
        raise ValueError(f"not a replacement for the pattern: {error}") from None
    return text
