"""Pod lists from files, for use without a cluster.

State: per file, what it looked like when it was last read. A file is read again when that
changes; one that cannot be read or understood is reported once per change and what was known
from it before stays known.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from collectors.pods.document import DocumentError, pod_versions, pods_in
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics
from pipeline.contract.record import PodVersion

_Look = tuple[int, int, int]


class PodFiles:
    """One thread."""

    def __init__(self, paths: Sequence[Path], *, node: str, telemetry: Telemetry) -> None:
        self._paths = paths
        self._node = node
        self._telemetry = telemetry
        self._looks: dict[Path, _Look] = {}
        self._pods: dict[Path, list[PodVersion]] = {}

    def read(self) -> list[PodVersion]:
        """All pods of all files as they are now."""
        present = set()
        for path in self._listing():
            present.add(path)
            look = self._look(path)
            if look is not None and look != self._looks.get(path):
                self._looks[path] = look
                self._load(path)
        for path in set(self._pods) - present:
            del self._pods[path]
            self._looks.pop(path, None)
        return [pod for pods in self._pods.values() for pod in pods]

    def _listing(self) -> Iterator[Path]:
        for path in self._paths:
            if path.is_dir():
                yield from sorted(path.glob("*.json"))
            else:
                yield path

    def _look(self, path: Path) -> _Look | None:
        try:
            status = path.stat()
        except OSError as error:
            if self._looks.get(path) != (0, 0, 0):
                self._looks[path] = (0, 0, 0)
                self._trouble(path, f"cannot read: {error.strerror}")
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _load(self, path: Path) -> None:
        try:
            text = path.read_text("utf-8")
            self._pods[path] = [
                version for pod in pods_in(text) for version in pod_versions(pod, self._node)
            ]
        except (OSError, UnicodeDecodeError, DocumentError) as error:
            self._trouble(path, str(error))

    def _trouble(self, path: Path, why: str) -> None:
        self._telemetry.count(metrics.KUBELET_ERRORS, reason="file")
        self._telemetry.event("pod-file-unusable", level="warn", path=str(path), why=why)
