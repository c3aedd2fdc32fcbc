"""The oracle: a node that writes logs, and remembers every byte of every file it wrote.

    python -m tests.chaos.writer --root DIR --mirror DIR --seconds 60 …

runs as a process of its own, so that nothing that is killed can touch its memory. Each file
generation (from its creation to its last byte, whatever its name becomes) is written a second
time into the mirror directory, where nobody rotates or deletes. `oracle.json` there says of
each: which container and restart, when it was created, closed and deleted.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import IO, Any

from pipeline.base.clock import Clock, SystemClock
from pipeline.base.lifecycle import Stop
from pipeline.console.kubelet_files import ContainerLog
from pipeline.console.kubelet_lines import Lines, Moment
from pipeline.console.kubelet_writer import KubeletWriter, Plan

ORACLE = "oracle.json"


@dataclass(slots=True)
class Generation:
    """One file's life; times are Unix seconds, 0 = not yet."""

    uid: str
    container: str
    restart: int
    raw: str  # file name in the mirror directory
    name: str  # base name in the container's folder, without .gz
    opened: float
    closed: float = 0.0
    deleted: float = 0.0


class RecordedLog(ContainerLog):
    """Every byte that goes to a file goes to its mirror first."""

    def __init__(
        self, folder: Path, lines: Lines, *, rng: Random, moment: Moment, mirror: Path, clock: Clock
    ) -> None:
        super().__init__(folder, lines, rng=rng, moment=moment)
        self.generations: list[Generation] = []
        self._mirror = mirror
        self._clock = clock
        self._copy: IO[bytes] | None = None

    def start(self) -> None:
        uid = self.folder.parent.name.rsplit("_", 1)[1]
        raw = f"{uid}.{len(self.generations)}.raw"
        self._copy = (self._mirror / raw).open("wb", buffering=0)
        self.generations.append(
            Generation(uid, self.folder.name, self.restart, raw, self.path.name, self._now())
        )
        super().start()

    def close(self) -> None:
        super().close()
        if self._copy is not None:
            self._copy.close()
            self._copy = None
            self.generations[-1].closed = self._now()

    def restarted(self) -> None:
        """As the kubelet's garbage collection: one dead instance is kept, older ones go."""
        for path in self.folder.glob(f"{self.restart - 1}.log*"):
            path.unlink()
        super().restarted()
        self._note_deleted()

    def rotate(self, clock: Clock, *, max_files: int, late_bytes: int) -> None:
        super().rotate(clock, max_files=max_files, late_bytes=late_bytes)
        self._note_deleted()

    def remove(self) -> None:
        super().remove()
        self._note_deleted()

    def _rotated_name(self, clock: Clock) -> Path:
        target = super()._rotated_name(clock)
        self.generations[-1].name = target.name
        return target

    def _put(self, data: bytes) -> None:
        assert self._copy is not None or not data
        if self._copy is not None:
            self._copy.write(data)
        super()._put(data)

    def _note_deleted(self) -> None:
        there = {path.name.removesuffix(".gz") for path in self.folder.glob("*")}
        for generation in self.generations:
            if not generation.deleted and generation.name not in there:
                generation.deleted = self._now()

    def _now(self) -> float:
        return self._clock.wall_ns() / 1e9


class RecordedWriter(KubeletWriter):
    """A node whose containers write `RecordedLog`s."""

    def __init__(self, plan: Plan, clock: Clock, mirror: Path) -> None:
        super().__init__(plan, clock)
        self._mirror = mirror
        self._wall = clock

    def new_log(self, folder: Path, lines: Lines, *, rng: Random, moment: Moment) -> ContainerLog:
        return RecordedLog(
            folder, lines, rng=rng, moment=moment, mirror=self._mirror, clock=self._wall
        )

    def generations(self) -> Iterator[Generation]:
        for container in self._containers:
            assert isinstance(container.log, RecordedLog)
            yield from container.log.generations

    def oracle(self) -> dict[str, Any]:
        return super().oracle() | {"generations": [asdict(g) for g in self.generations()]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--pods", type=Path, required=True)
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--mbps", type=float, default=0.8)
    parser.add_argument("--containers", type=int, default=20)
    parser.add_argument("--max-size", type=int, default=24 << 10)
    parser.add_argument("--max-files", type=int, default=6)
    parser.add_argument("--monitor", type=float, default=2.0)
    parser.add_argument("--restart-every", type=float, default=7.0)
    parser.add_argument("--replace-every", type=float, default=9.0)
    options = vars(parser.parse_args())
    plan = Plan(
        root=options["root"],
        pods_file=options["pods"],
        seed=options["seed"],
        mbps=options["mbps"],
        containers=options["containers"],
        max_size=options["max_size"],
        max_files=options["max_files"],
        monitor_s=options["monitor"],
        restart_every_s=options["restart_every"],
        replace_every_s=options["replace_every"],
        node="chaos-node",
    )
    mirror: Path = options["mirror"]
    with Stop().on_signals() as stop, RecordedWriter(plan, SystemClock(), mirror) as writer:
        writer.run(options["seconds"], stop)
        text = json.dumps(writer.oracle())
    (mirror / ORACLE).write_text(text)


if __name__ == "__main__":
    main()
