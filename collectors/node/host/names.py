"""Names of pods by their uid, from the directories that the kubelet makes for their logs."""

import os
from collections.abc import Iterable

_AGAIN_S = 10.0  # an unknown uid is looked for no more often than this


class PodNames:
    """`<namespace>_<pod>_<uid>` below the log roots (k/k pkg/kubelet/kuberuntime/helpers.go)."""

    def __init__(self, roots: Iterable[str]) -> None:
        self._roots = tuple(roots)
        self._names: dict[str, str] = {}
        self._looked = float("-inf")

    def name(self, uid: str, now: float) -> str:
        """namespace/pod; empty when it is not known. `now` is monotonic seconds."""
        if uid and uid not in self._names and now - self._looked >= _AGAIN_S:
            self._looked = now
            self._names = self._list()
        return self._names.get(uid, "")

    def _list(self) -> dict[str, str]:
        found = {}
        for root in self._roots:
            try:
                entries = os.listdir(root)
            except OSError:
                continue
            for entry in entries:
                parts = entry.split("_")
                if len(parts) == 3:
                    found[parts[2]] = f"{parts[0]}/{parts[1]}"
        return found
