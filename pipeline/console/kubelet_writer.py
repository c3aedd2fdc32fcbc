"""A node that writes container logs: for the demo, for tests, for anybody's own trials.

    python -m pipeline.console.kubelet_writer --root DIR --mbps 10 --seconds 30

writes pods of several kinds at a paced rate, rotates them as the kubelet does, optionally
restarts containers and replaces pods, and prints the oracle's JSON: what was written, to be
compared with what can be queried. What a container prints is fixed by the seed; sizes of single
writes, times and rotations follow the clock, so a run on a ManualClock repeats byte for byte.

State: the live containers; everything that was ever written stays in the oracle, also for pods
that have been deleted. `close` (or SIGTERM) leaves the files as a stopped node would.
"""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from pipeline.base.clock import Clock
from pipeline.base.lifecycle import Stop
from pipeline.console.kubelet_files import ContainerLog
from pipeline.console.kubelet_lines import KINDS, SEQUENCE, Lines, Moment

_SLICE_S = 0.05
_TURN = 64 * 1024  # most bytes a container writes at once
_NAMESPACES = ("shop", "platform")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write. `mbps` 0 means as fast as possible. Sizes and intervals as the kubelet's
    containerLogMaxSize, containerLogMaxFiles and containerLogMonitorInterval."""

    root: Path
    containers: int = 10
    seed: int = 1
    mbps: float = 10.0
    max_size: int = 10 << 20
    max_files: int = 5
    monitor_s: float = 10.0
    restart_every_s: float = 0.0  # 0 = never
    replace_every_s: float = 0.0  # a pod is deleted, a new one takes its place; 0 = never
    kinds: tuple[str, ...] = tuple(KINDS)
    node: str = "demo-node"
    pods_file: Path | None = None  # PodList JSON of the live pods, replaced at every change


@dataclass(slots=True)
class Container:
    """A container of a pod (each pod here has one) and its log."""

    namespace: str
    app: str
    pod: str
    uid: str
    name: str
    kind: str
    log: ContainerLog
    deleted: bool = False

    def weight(self, second: int) -> float:
        """A burst container is silent for nine seconds of ten and loud in the tenth."""
        if self.kind != "burst":
            return 1.0
        return 8.0 if second % 10 == 0 else 0.02


class KubeletWriter:
    """A context manager; `run` writes for a while, the other methods make single things
    happen when a test wants them to."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.plan = plan
        self._clock = clock
        self._rng = Random(plan.seed)  # noqa: S311 - repeatable, not secret
        self._moment = Moment()
        self._containers: list[Container] = []
        self._written = 0
        self._next_monitor = self._next_restart = self._next_replace = 0.0

    def __enter__(self) -> "KubeletWriter":
        for index in range(self.plan.containers):
            self.add_pod(self.plan.kinds[index % len(self.plan.kinds)])
        self._publish()
        now = self._clock.monotonic()
        self._next_monitor = now + self.plan.monitor_s
        self._next_restart = now + self.plan.restart_every_s
        self._next_replace = now + self.plan.replace_every_s
        return self

    def __exit__(self, *_: object) -> None:
        for container in self.live():
            container.log.close()

    def live(self) -> list[Container]:
        return [c for c in self._containers if not c.deleted]

    def add_pod(self, kind: str) -> Container:
        index = len(self._containers)
        namespace = _NAMESPACES[index % len(_NAMESPACES)]
        app = f"{kind}-{index:02d}"
        pod = f"{app}-{self._word(10)}-{self._word(5)}"
        uid = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        rng = Random(self._rng.getrandbits(64))  # noqa: S311
        folder = self.plan.root / f"{namespace}_{pod}_{uid}" / "main"
        lines = KINDS[kind](Random(rng.getrandbits(64)), self._moment)  # noqa: S311
        log = self.new_log(folder, lines, rng=rng, moment=self._moment)
        container = Container(namespace, app, pod, uid, "main", kind, log)
        log.start()
        self._containers.append(container)
        return container

    def new_log(self, folder: Path, lines: Lines, *, rng: Random, moment: Moment) -> ContainerLog:
        """Where a container writes; a stricter oracle overrides it."""
        return ContainerLog(folder, lines, rng=rng, moment=moment)

    def _word(self, length: int) -> str:
        """Letters as Kubernetes draws them for generated names (no vowels)."""
        return "".join(self._rng.choices("bcdfghjklmnpqrstvwxz2456789", k=length))

    def write(self, nbytes: int) -> int:
        """Share about `nbytes` among the live containers. Returns the bytes written."""
        wall_ns = self._clock.wall_ns()
        self._moment.move(wall_ns // 1_000_000_000)
        second = wall_ns // 1_000_000_000
        weights = [(c, c.weight(second)) for c in self.live()]
        total = sum(weight for _, weight in weights) or 1.0
        written = 0
        for container, weight in weights:
            share = int(nbytes * weight / total)
            while share > 0:
                tear = self._rng.random() < 0.05
                made = container.log.write(min(share, _TURN), wall_ns=wall_ns, tear=tear)
                share -= made
                written += made
        self._written += written
        return written

    def monitor(self) -> None:
        """One cycle of the kubelet's log manager."""
        for container in self.live():
            if container.log.size >= self.plan.max_size:
                self.rotate(container)

    def rotate(self, container: Container) -> None:
        late = self._rng.choice((0, 500, 5_000))
        container.log.rotate(self._clock, max_files=self.plan.max_files, late_bytes=late)

    def restart(self, container: Container) -> None:
        """The process dies, every other time in the middle of a line; N+1.log begins."""
        unterminated = container.log.restart % 2 == 0
        container.log.exit(wall_ns=self._clock.wall_ns(), unterminated=unterminated)
        container.log.restarted()

    def delete_pod(self, container: Container) -> None:
        container.log.remove()
        container.log.folder.parent.rmdir()
        container.deleted = True

    def run(self, seconds: float, stop: Stop) -> None:
        """Write at the plan's rate for that long, or until stopped."""
        start = self._clock.monotonic()
        rate = self.plan.mbps * 1e6
        paid = 0.0
        while not stop.is_set() and (elapsed := self._clock.monotonic() - start) < seconds:
            due = int(rate * elapsed - paid) if rate else _TURN * self.plan.containers
            if due > 0:
                paid += self.write(min(due, 4 << 20))
            self._keep_house()
            if rate and paid >= rate * (self._clock.monotonic() - start):
                self._clock.sleep(_SLICE_S)

    def _keep_house(self) -> None:
        now = self._clock.monotonic()
        if now >= self._next_monitor:
            self._next_monitor = now + self.plan.monitor_s
            self.monitor()
        if self.plan.restart_every_s and now >= self._next_restart:
            self._next_restart = now + self.plan.restart_every_s
            self.restart(self._rng.choice(self.live()))
        if self.plan.replace_every_s and now >= self._next_replace:
            self._next_replace = now + self.plan.replace_every_s
            victim = self._rng.choice(self.live())
            self.delete_pod(victim)
            self.add_pod(victim.kind)
            self._publish()

    def _publish(self) -> None:
        if self.plan.pods_file:
            temporary = self.plan.pods_file.with_name(self.plan.pods_file.name + ".tmp")
            temporary.write_text(json.dumps(self.pod_list()), "utf-8")
            temporary.rename(self.plan.pods_file)

    def pod_list(self) -> dict[str, Any]:
        """The live pods as the kubelet's /pods shows them (what the collector reads of it)."""
        return {
            "kind": "PodList",
            "apiVersion": "v1",
            "items": [_pod(c, self.plan.node) for c in self.live()],
        }

    def oracle(self) -> dict[str, Any]:
        """What has been written so far, ready for JSON."""
        for container in self.live():
            container.log.flush()
        counts = [c.log.counts for c in self._containers]
        return {
            "seed": self.plan.seed,
            "sequence": SEQUENCE,
            "bytes": sum(c.bytes for c in counts),
            "lines": sum(c.lines for c in counts),
            "rotations": sum(c.rotations for c in counts),
            "removed_generations": sum(c.removed for c in counts),
            "containers": [_summary(c) for c in self._containers],
        }


def _pod(container: Container, node: str) -> dict[str, Any]:
    replica_set = container.pod.rsplit("-", 1)[0]
    return {
        "metadata": {
            "name": container.pod,
            "namespace": container.namespace,
            "uid": container.uid,
            "labels": {
                "app": container.app,
                "pod-template-hash": replica_set.rsplit("-", 1)[1],
            },
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": replica_set,
                    "uid": str(uuid.uuid5(uuid.NAMESPACE_OID, replica_set)),
                    "controller": True,
                }
            ],
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": container.name, "image": f"registry.local/{container.kind}:1"}],
        },
    }


def _summary(container: Container) -> dict[str, Any]:
    counts = container.log.counts
    return {
        "namespace": container.namespace,
        "pod": container.pod,
        "uid": container.uid,
        "container": container.name,
        "kind": container.kind,
        "restarts": container.log.restart,
        "lines": counts.lines,
        "bytes": counts.bytes,
        "crc32_sum": counts.crc32_sum,
        "rotations": counts.rotations,
        "removed_generations": counts.removed,
        "deleted": container.deleted,
    }


def main() -> None:
    """Command line for trials by hand and for the demo, which runs this as a process."""
    import argparse
    import sys

    from pipeline.base.clock import SystemClock

    parser = argparse.ArgumentParser(description="Write container logs as a kubelet node does.")
    parser.add_argument("--root", type=Path, required=True, help="as /var/log/pods; created")
    parser.add_argument("--mbps", type=float, default=10.0, help="MB/s; 0 = as fast as possible")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--containers", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-size", type=int, default=10 << 20, help="rotate at this many bytes")
    parser.add_argument("--max-files", type=int, default=5)
    parser.add_argument("--monitor", type=float, default=10.0, help="seconds between rotations")
    parser.add_argument("--restart-every", type=float, default=0.0, help="seconds; 0 = never")
    parser.add_argument("--replace-every", type=float, default=0.0, help="seconds; 0 = never")
    parser.add_argument("--pods", type=Path, help="keep the PodList JSON in this file")
    options = parser.parse_args()
    plan = Plan(
        root=options.root,
        containers=options.containers,
        seed=options.seed,
        mbps=options.mbps,
        max_size=options.max_size,
        max_files=options.max_files,
        monitor_s=options.monitor,
        restart_every_s=options.restart_every,
        replace_every_s=options.replace_every,
        pods_file=options.pods,
    )
    with Stop().on_signals() as stop, KubeletWriter(plan, SystemClock()) as writer:
        writer.run(options.seconds, stop)
        json.dump(writer.oracle(), sys.stdout)
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
