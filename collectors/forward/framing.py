"""A stream of bytes -> whole messages, without building anything of them. No I/O.

The protocol is msgpack values one after the other: arrays of 2 to 6 elements, or nil (a heartbeat).
The length of text and binary elements is read from their header, so a message that will be too
large is refused before it is taken; of other elements msgpack itself finds the end.

State: the bytes of the message that is not complete, and how far it has been looked at.
"""

from collections.abc import Iterator
from contextlib import suppress

import msgpack

from collectors.forward.origin import checked_tag
from collectors.forward.refusal import NOT_MSGPACK, TOO_LARGE, WRONG_TYPE, Refused

_NIL = 0xC0
_LONGEST = 6  # elements: ["PING", name, salt, digest, user, digest]
# First byte of a text or binary value -> bytes of its length field.
LENGTHS = {0xD9: 1, 0xDA: 2, 0xDB: 4, 0xC4: 1, 0xC5: 2, 0xC6: 4}


def span(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Where the content of the text or binary value at `at` is: [start, stop), which may be
    beyond the data. None: the value is something else. IndexError: its header is not whole."""
    first = data[at]
    if 0xA0 <= first <= 0xBF:
        return at + 1, at + 1 + (first & 0x1F)
    width = LENGTHS.get(first)
    if width is None:
        return None
    start = at + 1 + width
    if len(data) < start:
        raise IndexError
    return start, start + int.from_bytes(data[at + 1 : start], "big")


class Framing:
    """Feed it, then take `messages`. `limit`: bytes of a message."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._data = bytearray()
        self._left = 0  # elements of the message that were not found yet
        self._at = 0  # where the next one begins
        self._skipper: msgpack.Unpacker | None = None  # inside of one, has been given up to _fed
        self._fed = 0

    @property
    def held(self) -> int:
        """Bytes of the message that is not complete."""
        return len(self._data)

    def feed(self, data: bytes) -> None:
        self._data += data

    def messages(self) -> Iterator[bytes]:
        """What is complete. Raises Refused; then the stream is of no use any more."""
        while self._data and self._complete():
            message = bytes(memoryview(self._data)[: self._at])
            del self._data[: self._at]
            self._at = 0
            yield message

    def _complete(self) -> bool:
        if not self._at:
            self._begin()
        while self._left:
            stop = self._element()
            size = len(self._data) if stop is None else stop
            if size > self.limit:
                raise self._too_large(size)
            if stop is None or stop > len(self._data):
                return False
            self._at, self._left, self._skipper = stop, self._left - 1, None
        return True

    def _begin(self) -> None:
        first = self._data[0]
        count = first - 0x90
        if first == _NIL:
            count = 0
        elif not 2 <= count <= _LONGEST:
            raise Refused(
                WRONG_TYPE, f"no message of the Fluent forward protocol begins with 0x{first:02x}"
            )
        self._left, self._at = count, 1

    def _too_large(self, size: int) -> Refused:
        refusal = Refused(
            TOO_LARGE, f"a message of {size} bytes or more; at most {self.limit}", size=size
        )
        with suppress(Refused, IndexError):
            tag = span(self._data, 1)
            if tag is not None and tag[1] < len(self._data):
                refusal.tag = checked_tag(bytes(self._data[tag[0] : tag[1]]))
        return refusal

    def _element(self) -> int | None:
        """Where the next element stops; None: not known yet."""
        if self._skipper is None:
            if self._at >= len(self._data):
                return None
            try:
                found = span(self._data, self._at)
            except IndexError:
                return None
            if found is not None:
                return found[1]
            self._skipper = msgpack.Unpacker(max_buffer_size=self.limit + (1 << 20), read_size=4096)
            self._fed = self._at
        try:
            self._skipper.feed(memoryview(self._data)[self._fed :])
            self._fed = len(self._data)
            self._skipper.skip()
        except msgpack.OutOfData:
            return None
        except (ValueError, msgpack.UnpackException) as error:
            raise Refused(NOT_MSGPACK, explained(error), size=len(self._data)) from error
        return self._at + int(self._skipper.tell())


def explained(error: Exception) -> str:
    """What msgpack found wrong; some of its errors have no text."""
    if isinstance(error, msgpack.StackError):
        return "msgpack is nested too deep"
    return f"msgpack cannot be read: {error or type(error).__name__}"
