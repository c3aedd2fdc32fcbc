"""Ids of the latest events, so that one that was delivered twice has one row.

Bounded: two generations of ids, the older of which is forgotten when the younger is full. So the
last `capacity` ids are surely known, and at most twice as many are kept. Which ids are known
depends on nothing but the ids that came, so it is part of the snapshot. Samples come by the
thousand and are repeated within seconds; everything else is rare and may be repeated much later,
so they do not share one memory.
"""

from hashlib import blake2b

from pipeline.base.fold import pack, unpack

_WIDTH = 8  # bytes of a hash: with 200,000 known, a clash once in 10**14 events


class Generations:
    """One memory."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def first(self, name: str) -> bool:
        """False if it is known; from now on it is."""
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_WIDTH).digest()
        if digest in self._young or digest in self._old:
            return False
        self._young.add(digest)
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, set()
        return True

    def dump(self) -> bytes:
        young, old = b"".join(sorted(self._young)), b"".join(sorted(self._old))
        return b"".join(pack({"young": young, "old": old}))

    def restore(self, data: bytes) -> None:
        parts = unpack(data)
        self._young, self._old = _split(parts["young"]), _split(parts["old"])


def _split(data: bytes) -> set[bytes]:
    return {data[at : at + _WIDTH] for at in range(0, len(data), _WIDTH)}
