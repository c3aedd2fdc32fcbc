"""What this machine does at best with the same bytes: the limits beside the figures."""

from collections.abc import Sequence
from pathlib import Path

import zstandard

from tests.bench.measure import spent
from tests.bench.report import median

CHUNK = 256 * 1024
_MB = 1e6


def read_rate(files: Sequence[Path]) -> float:
    """MB per CPU-second of reading the files from the page cache, nothing else."""
    buffer = bytearray(CHUNK)

    def read() -> None:
        for path in files:
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass

    return _rate(files, read)


def compress_rate(files: Sequence[Path]) -> float:
    """MB per CPU-second of reading and compressing with zstd-1 in the collector's chunk size."""
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=False)
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)

    def work() -> None:
        for path in files:
            with path.open("rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    compressor.compress(view[:count])

    return _rate(files, work)


def _rate(files: Sequence[Path], work: object) -> float:
    assert callable(work)
    size = sum(path.stat().st_size for path in files)
    return median([size / _MB / max(spent(work).cpu_s, 1e-6) for _ in range(3)])
