"""Records as the collector makes them, made from files directly, and the stages over them."""

import gzip
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import zstandard
from crc32c import crc32c

from pipeline.base.block import Block
from pipeline.contract.record import CRI, UNTERMINATED, Chunk, Headers, Source, encode_headers
from pipeline.stages.assemble import Window, assemble
from pipeline.stages.decode import Undecodable, Unpacker, decode_event
from pipeline.stages.refine import Bounds, Refinery
from pipeline.stages.rows import PodView

CHUNK = 256 * 1024
BATCH_BYTES = 64_000_000  # raw, as the processor's default

Sealed = tuple[Headers, bytes]


def sealed(files: Sequence[Path]) -> Iterator[Sealed]:
    """Headers and values of all chunks, files taking turns as on a busy node."""
    turns = [_chunks(path) for path in files]
    return (item for turn in itertools.zip_longest(*turns) for item in turn if item is not None)


def _chunks(path: Path) -> Iterator[Sealed]:
    packer = zstandard.ZstdCompressor(level=1, write_checksum=False)
    source = _source(path)
    file_id = int.from_bytes(blake2b(str(path).encode(), digest_size=8).digest(), "big")
    opener = gzip.open if path.suffix == ".gz" else open
    offset = 0
    with opener(path, "rb") as file:
        rest = b""
        while data := file.read(CHUNK):
            raw, newline, rest = (rest + data).rpartition(b"\n")
            if newline:
                yield _seal(source, file_id, offset, raw + newline, packer)
                offset += len(raw) + 1
        if rest:
            yield _seal(source, file_id, offset, rest, packer)


def _source(path: Path) -> Source:
    pod_directory, container = path.parent.parent.name, path.parent.name
    namespace, pod, uid = pod_directory.split("_")
    return Source("bench", namespace, pod, uid, container, 0, str(path))


def _seal(
    source: Source, file_id: int, offset: int, raw: bytes, packer: zstandard.ZstdCompressor
) -> Sealed:
    event = Chunk(
        source=source,
        file_id=file_id,
        kind="chunk",
        offset=offset,
        raw_length=len(raw),
        lines=0,
        format=CRI,
        codec="zstd",
        crc32c=crc32c(raw),
        pod_version=0,
        flags=0 if raw.endswith(b"\n") else UNTERMINATED,
        first_ts="",
        last_ts="",
        read_ms=time.time_ns() // 1_000_000,
    )
    return encode_headers(event), packer.compress(raw)


def blocks(records: Iterable[Sealed]) -> Iterator[Block]:
    """Through the stages, a block per batch. What is unfinished at the end comes with the last."""
    refinery, unpacker, raw_bytes, rec = Refinery(Bounds(hold_ms=0)), Unpacker(), 0, 0
    first, now_ms = 0, time.time_ns() // 1_000_000
    refinery.begin(now_ms)
    for rec, (headers, value) in enumerate(records):
        event = decode_event(headers)
        assert isinstance(event, Chunk)
        raw = unpacker.unpack(event, value)
        assert not isinstance(raw, Undecodable)
        refinery.chunk(rec, event, raw, PodView())
        raw_bytes += len(raw)
        if raw_bytes >= BATCH_BYTES:
            yield _block(refinery, first, rec, now_ms)
            first, raw_bytes = rec + 1, 0
            refinery.begin(now_ms)
    if raw_bytes:
        yield _block(refinery, first, rec, now_ms)


def _block(refinery: Refinery, first: int, last: int, now_ms: int) -> Block:
    rows = refinery.finish(now_ms, first, last)
    return assemble(rows, refinery.origins, partition=0, now_ms=now_ms, window=Window())


def log_files(root: Path) -> list[Path]:
    """Every log file of a tree, archives included, in a fixed order."""
    return sorted(p for p in root.glob("*/*/*") if p.is_file() and os.access(p, os.R_OK))
