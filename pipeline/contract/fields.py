"""Record headers as fields: read with errors that name the field, and the format version."""

from collections.abc import Iterable

VERSION = 1

Headers = tuple[tuple[str, bytes], ...]


class RecordError(ValueError):
    """A record cannot be understood; says which field and what was found."""


class Fields:
    """Header access with errors that name the field."""

    def __init__(self, headers: Iterable[tuple[str, bytes]]) -> None:
        self._values = dict(headers)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name)
        if value is None:
            if default is not None:
                return default
            raise RecordError(f"header `{name}` is missing")
        return value.decode("utf-8", "backslashreplace")  # the ledger holds text

    def number(self, name: str, base: int = 10) -> int:
        text = self.text(name)
        try:
            number = int(text, base)
        except ValueError:
            raise RecordError(f"header `{name}` is not a number: {text[:40]!r}") from None
        if number < 0:
            raise RecordError(f"header `{name}` is negative: {number}")
        return number

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        text = self.text(name)
        if text not in allowed:
            raise RecordError(f"header `{name}` is {text[:40]!r}, not one of {', '.join(allowed)}")
        return text


def check_version(fields: Fields) -> None:
    version = fields.text("v")
    if version != str(VERSION):
        raise RecordError(f"record version {version[:20]!r} is not known (this reads {VERSION})")
