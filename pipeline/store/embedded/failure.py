"""Errors of the engine, with the code that ClickHouse gives them."""

import re

_CODED = re.compile(r"(?:Code: (\d+)\. )?DB::Exception: (.*)", re.DOTALL)
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)(?: \(version [^)]*\))?\s*$")

UNKNOWN_EXCEPTION = 1002


class EngineError(Exception):
    """A statement failed. `code` and `name` are ClickHouse's."""

    def __init__(self, code: int, message: str, name: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.name = name

    @classmethod
    def of(cls, error: BaseException) -> "EngineError":
        """From the text of an engine exception."""
        text = str(error)
        code = UNKNOWN_EXCEPTION
        while found := _CODED.match(text):
            if found[1]:
                code = int(found[1])
            text = found[2]
        name = _NAME.search(text)
        return cls(code, text, name[1] if name else "")

    @property
    def displayed(self) -> str:
        """As ClickHouse shows it."""
        suffix = f" ({self.name})" if self.name and f"({self.name})" not in self.message else ""
        return f"DB::Exception: {self.message}{suffix}"
