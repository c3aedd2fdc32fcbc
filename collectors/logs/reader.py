"""Bytes of one file at an offset: of a plain file through its descriptor, of an archive by
streaming decompression. Offsets are uncompressed bytes in both.
"""

import os
import zlib

_STEP = 64 * 1024  # compressed bytes read, and the most skipped at a time


class Plain:
    """A file that may grow, shrink, be renamed and be deleted while it is open."""

    changes = True

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self, view: memoryview, offset: int) -> int:
        return os.preadv(self.fd, [view], offset)

    def keep_from(self, offset: int) -> None:
        """Nothing is held."""

    def close(self) -> None:
        os.close(self.fd)


class Archive:
    """A .gz generation: complete when it appears, never changed afterwards.

    Memory is bounded by what one call asks for, and given back by `keep_from`. `finished` turns
    true when the last byte has been decompressed, or when the rest cannot be: then `damage` says
    why. `expected` is the size that the trailer promises, 0 where that is no trailer."""

    changes = False

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.expected = _promised_size(fd)
        self.damage = ""
        self.finished = False
        self._start = 0  # offset of the first byte in `_data`
        self._data = bytearray()
        self._seen = 0  # how far it was read once
        self._restart()

    def _restart(self) -> None:
        self._seen = max(self._seen, self._start + len(self._data))
        os.lseek(self.fd, 0, os.SEEK_SET)
        self._inflate: zlib._Decompress | None = None
        self._data.clear()
        self._start = 0
        self.finished = False

    @property
    def size(self) -> int:
        """Exact once finished; before that, what is promised."""
        known = self._start + len(self._data)
        return known if self.finished else max(known, self._seen, self.expected)

    def read(self, view: memoryview, offset: int) -> int:
        if offset < self._start:
            self._restart()
        while not self.finished and self._start + len(self._data) < offset:
            self._start += len(self._data)
            self._data.clear()
            self._fill(min(_STEP, offset - self._start))
        self._skip_to(offset)
        if self._start < offset:
            return 0
        self._fill(len(view))
        count = min(len(view), len(self._data))
        view[:count] = self._data[:count]
        return count

    def keep_from(self, offset: int) -> None:
        """What is read next starts at `offset`, some time later. An archive in the middle holds
        100 KiB, and one that is finished the last that was read of it; hundreds may wait for
        their turn, or for acknowledgements."""
        if self.finished:
            self._inflate = None
            self._skip_to(offset)
        elif offset:
            self._skip_to(offset)
        else:
            self._restart()

    def close(self) -> None:
        os.close(self.fd)

    def _skip_to(self, offset: int) -> None:
        skip = max(0, min(offset - self._start, len(self._data)))
        del self._data[:skip]
        self._start += skip

    def _fill(self, need: int) -> None:
        """Have `need` bytes in `_data`, or be finished."""
        while len(self._data) < need and not self.finished:
            try:
                self._inflate_some(need - len(self._data))
            except (zlib.error, OSError) as error:
                self.damage, self.finished = str(error), True

    def _inflate_some(self, room: int) -> None:
        inflate = self._inflate = self._inflate or zlib.decompressobj(31)
        if inflate.eof:
            rest = (inflate.unused_data or os.read(self.fd, _STEP)).lstrip(b"\0")
            if not rest:
                self.finished = True
                return
            self._inflate = inflate = zlib.decompressobj(31)  # another member follows
            self._data += inflate.decompress(rest, room)
            return
        source = inflate.unconsumed_tail or os.read(self.fd, _STEP)
        out = inflate.decompress(source, room)
        self._data += out
        if not source and not out and not inflate.eof:
            self.damage, self.finished = "the archive ends before its data does", True
            self.expected = 0


def _promised_size(fd: int) -> int:
    """ISIZE of the trailer (RFC 1952): the size modulo 2**32 of the last member. Deflate cannot
    make more than 1,032 bytes of one: a larger promise is no trailer."""
    length = os.fstat(fd).st_size
    promise = int.from_bytes(os.pread(fd, 4, length - 4), "little") if length >= 18 else 0
    return promise if promise <= 1032 * length else 0
