"""Snapshots of the fold on disk: `snapshot-OFFSET.zst` in the state directory.

A file is a line that says what it is, a JSON line, one zstd frame, and the CRC-32C of all before
it. OFFSET is the next record to fold. Written to a temporary name, fsynced, renamed, directory
fsynced, so a file with the right name is whole or damaged by the disk. The JSON line names

  v            format version
  cluster      whose state it is
  fingerprint  of the code that made it: a state that other rules concluded is not continued
  offset       as in the name
  record       CRC-32C of the value of the record before OFFSET, null if it was not seen: a topic
               that was made anew counts from zero again, and has other records there

The latest KEPT that can be used for a restart now are kept (their offset is not beyond what is
confirmed), and those beyond it, of which there is at most one.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import zstandard

from pipeline.base.checksum import crc32c
from pipeline.base.errors import UsageError
from pipeline.base.fold import pack, unpack
from pipeline.base.telemetry import Telemetry
from pipeline.contract.metrics import SNAPSHOTS_BAD

KEPT = 3
FIRST_LINE = b"kubeledger snapshot\n"
_VERSION = 1
_NAME = re.compile(r"snapshot-(\d+)\.zst")
_LEVEL = 3
_CRC_BYTES = 4


class Unusable(Exception):
    """Why a snapshot is not used: a short reason, and what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Head:
    """The JSON line."""

    v: int
    cluster: str
    fingerprint: str
    offset: int
    record: int | None


class Snapshots:
    """One directory, used by one process at a time (members on one machine may share it: what
    they write under a name is the same)."""

    def __init__(
        self, directory: Path, *, cluster: str, fingerprint: str, telemetry: Telemetry
    ) -> None:
        self._directory = directory
        self._cluster = cluster
        self._fingerprint = fingerprint
        self._telemetry = telemetry

    def open(self) -> None:
        """Make the directory, remove what a crash left half written. UsageError if it is not to
        be written in."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in self._directory.glob("*.tmp"):
                path.unlink(missing_ok=True)
            probe = self._directory / f"probe-{os.getpid()}.tmp"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UsageError(f"state_dir {self._directory} cannot be used: {error}") from error

    def offsets(self) -> list[int]:
        """Of all snapshots that are there, newest first."""
        with suppress(OSError):
            found = (_NAME.fullmatch(name) for name in os.listdir(self._directory))
            return sorted((int(match[1]) for match in found if match), reverse=True)
        return []

    def save(
        self, offset: int, record: bytes | None, parts: Mapping[str, bytes], *, confirmed: int
    ) -> bool:
        """Write one, then remove the old ones. False, and said, if the disk does not take it."""
        known = None if record is None else crc32c(record)
        head = Head(_VERSION, self._cluster, self._fingerprint, offset, known)
        path = self._directory / f"snapshot-{offset}.zst"
        part = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            _write(part, _encode(head, parts))
            part.replace(path)
            _sync(self._directory)
            self._prune(confirmed)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            self._telemetry.event("snapshot.failed", "error", path=str(path), error=str(error))
            return False
        return True

    def usable(self, above: int, upto: int) -> Iterator[tuple[Head, dict[str, bytes]]]:
        """Newest first, above one offset and not beyond the other; what cannot be used is told
        and passed over. Whether the record fits is for the caller to see (`refuse`)."""
        for offset in self.offsets():
            if not above < offset <= upto:
                continue
            try:
                head, packed = _decode((self._directory / f"snapshot-{offset}.zst").read_bytes())
                self._check(head, offset)
                parts = unpack(_unpacked(packed))
            except Unusable as why:
                self.refuse(offset, why)
            except (OSError, zstandard.ZstdError, ValueError) as error:
                self.refuse(offset, Unusable("damaged", str(error)))
            else:
                yield head, parts

    def refuse(self, offset: int, why: Unusable) -> None:
        self._telemetry.count(SNAPSHOTS_BAD, reason=why.reason)
        self._telemetry.event(
            "snapshot.unusable", "warn", offset=offset, reason=why.reason, detail=str(why)
        )

    def _check(self, head: Head, offset: int) -> None:
        if head.offset != offset:
            raise Unusable("damaged", f"it says offset {head.offset}")
        if head.cluster != self._cluster:
            raise Unusable("foreign", f"it is of cluster {head.cluster!r}")
        if head.fingerprint != self._fingerprint:
            raise Unusable("other-code", f"other rules made it ({head.fingerprint})")

    def _prune(self, confirmed: int) -> None:
        for offset in [found for found in self.offsets() if found <= confirmed][KEPT:]:
            (self._directory / f"snapshot-{offset}.zst").unlink(missing_ok=True)


def _encode(head: Head, parts: Mapping[str, bytes]) -> Iterator[bytes]:
    """The file, piece by piece: a large state is not held twice."""
    yield FIRST_LINE + json.dumps(asdict(head), separators=(",", ":")).encode() + b"\n"
    packer = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    for piece in pack(parts):
        yield packer.compress(piece)
    yield packer.flush()


def _unpacked(packed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(packed)


def _decode(file: bytes) -> tuple[Head, bytes]:
    whole, crc = file[:-_CRC_BYTES], file[-_CRC_BYTES:]
    if len(file) < _CRC_BYTES or crc32c(whole) != int.from_bytes(crc, "big"):
        raise Unusable("damaged", f"the checksum of its {len(file)} bytes is wrong")
    first, _, rest = whole.partition(b"\n")
    text, newline, packed = rest.partition(b"\n")
    try:
        document = json.loads(text)
        if first + b"\n" != FIRST_LINE or not newline or document["v"] != _VERSION:
            raise Unusable("foreign", f"its format is not known: {(first + text)[:80]!r}")
        return Head(**document), packed
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable("foreign", f"its format is not known: {error}") from error


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    crc = 0
    with os.fdopen(fd, "wb") as file:
        for piece in pieces:
            crc = crc32c(piece, crc)
            file.write(piece)
        file.write(crc.to_bytes(_CRC_BYTES, "big"))
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
