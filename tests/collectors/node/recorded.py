"""A recorded node for the sampler's drive: the kubelet's answers and the growth of logs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collectors.node.config import NodeConfig
from collectors.node.growth import Growth
from collectors.node.ports import Answer, Instant, Request
from collectors.node.sampler import Sampler
from collectors.recording.kubelet import RecordedKubelet
from collectors.recording.layout import Recording, open_recording
from pipeline.contract import state
from tests.collectors.node.drive import Drive

RECORDINGS = Path(__file__).parents[2] / "recordings" / "nodes"
SWEEP_S = 5.0


class RecordedGrowth:
    """Sizes of log files as they were recorded, told as the tailer tells them."""

    def __init__(self, recording: Recording) -> None:
        self.growth = Growth()
        self._rows: Iterator[dict[str, Any]] = recording.rows("pod-log-files")
        self._next = next(self._rows, None)
        self._sizes: dict[int, int] = {}  # by inode
        self._here: dict[str, None] = {}
        self._sweep = recording.start

    def until(self, now: float) -> None:
        while self._next is not None and self._next["t"] <= now:
            self._sweeps(self._next["t"])
            for path, (inode, size, _) in self._next["changed"].items():
                self._changed(path, inode, size, self._next["t"])
            self._next = next(self._rows, None)
        self._sweeps(now)

    def _sweeps(self, now: float) -> None:
        while self._sweep + SWEEP_S <= now:
            self._sweep += SWEEP_S
            self.growth.looked(self._sweep, list(self._here))

    def _changed(self, path: str, inode: int, size: int, at: float) -> None:
        if path.endswith(".gz"):
            return
        pod, container = path.split("/")[4:6]
        namespace, name, _ = pod.split("_")
        known = self._sizes.get(inode)
        self._sizes[inode] = size
        self._here[f"{namespace}/{name}/{container}"] = None
        if known is not None and size > known:
            self.growth.grew(f"{namespace}/{name}/{container}", at)


def replay(name: str) -> Drive:
    """A whole recording through the sampler."""
    recording = open_recording(RECORDINGS / name)
    kubelet, logs = RecordedKubelet(recording), RecordedGrowth(recording)

    def answers(request: Request, now: float) -> tuple[float, Answer] | None:
        if request.part == state.GROWTH:
            values = logs.growth.read(Instant.at(now))
            return now + 0.001, Answer(request, state.OK, 1, values=values)
        return kubelet.answer(request) if request.path else None

    def before(sampler: Sampler, now: float) -> None:
        logs.until(now)
        if logs.growth.news():
            sampler.hasten(state.GROWTH)

    drive = Drive(answers, NodeConfig(host_s=0), before=before, start=recording.start)
    return drive.run(recording.end - recording.start)
