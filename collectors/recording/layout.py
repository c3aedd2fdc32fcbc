"""A recording on disk, as `kubeledger record` and its forerunners write them.

  index.json                    start, end (Unix seconds), node, what was expected
  watch-RESOURCE.jsonl[.gz]     {"t": receive time, "event": raw watch event} or {"t", "error"}
  kubelet-PATH.jsonl[.gz]       {"t", "path", "status", "ms", "body"} or {"t", "path", "error"}
  kubelet-metrics-patient…      the same /metrics, waited for
  processes.jsonl[.gz]          {"t", "procs": [{"pid", "name", "state", …}]}
  pod-log-files.jsonl[.gz]      {"t", "changed": {path: [inode, size, mtime]}, "gone": [path]}
  PROGRAM.log[.gz]              lines of a daemon (klog or logfmt)
  container-logs/…              logs of containers in the kubelet's layout

Every file may be absent. What is there and cannot be read is an error that says where.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.recording.shape import complaint
from pipeline.base.errors import UsageError
from pipeline.contract.documents import read_json

_LAST_S = 253_402_300_799  # of the year 9999
WATCH, KUBELET = "watch-", "kubelet-"


@dataclass(frozen=True, slots=True)
class Recording:
    """`start` and `end` are Unix seconds."""

    path: Path
    node: str
    start: float
    end: float
    index: dict[str, Any]

    def watches(self) -> list[str]:
        """Names of the recorded watch streams."""
        return self._named(WATCH)

    def kubelet_parts(self) -> list[str]:
        return self._named(KUBELET)

    @property
    def is_empty(self) -> bool:
        others = map(self.has, ("processes", "pod-log-files"))
        return not (self.watches() or self.kubelet_parts() or self.programs() or any(others))

    def has(self, name: str) -> bool:
        return self._file(f"{name}.jsonl") is not None

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Objects of NAME.jsonl[.gz]; nothing if there is no such file."""
        file = self._file(f"{name}.jsonl")
        if file is None:
            return
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            try:
                row = read_json(line)
            except ValueError as error:
                raise UsageError(f"{file}:{number}: not JSON: {error}") from None
            wrong = complaint(name, row)
            if wrong:
                raise UsageError(f"{file}:{number}: {wrong}")
            yield row

    def log(self, program: str) -> Iterator[bytes]:
        """Lines of PROGRAM.log[.gz]."""
        file = self._file(f"{program}.log")
        if file is not None:
            for line in _lines(file):
                yield line.rstrip(b"\n")

    def programs(self) -> list[str]:
        names = {p.name.removesuffix(".gz") for p in self.path.iterdir()}
        return sorted(name.removesuffix(".log") for name in names if name.endswith(".log"))

    def _named(self, prefix: str) -> list[str]:
        names = {p.name.removesuffix(".gz") for p in self.path.iterdir()}
        found = [n for n in names if n.startswith(prefix) and n.endswith(".jsonl")]
        return sorted(name.removesuffix(".jsonl").removeprefix(prefix) for name in found)

    def _file(self, name: str) -> Path | None:
        for candidate in (self.path / name, self.path / f"{name}.gz"):
            if candidate.is_file():
                return candidate
        return None


def open_recording(path: Path) -> Recording:
    """Raises UsageError when it is none."""
    if not path.is_dir():
        raise UsageError(f"{path}: no such directory; a recording is a directory with index.json")
    file = path / "index.json"
    try:
        index = read_json(file.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no recording: index.json is missing") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None
    try:
        start, end = float(index["start"]), float(index["end"])
    except (KeyError, TypeError, ValueError):
        start, end = 1, 0
    if not 0 <= start <= end <= _LAST_S:
        raise UsageError(f"{file}: `start` and `end` must be Unix seconds, in this order")
    return Recording(path, str(index.get("node") or "node"), start, end, index)


def _lines(file: Path) -> Iterator[bytes]:
    """A damaged archive is said with its name, and so is what may not be read."""
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
            yield from lines
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{file}: damaged, or not to be read: {error}") from None
