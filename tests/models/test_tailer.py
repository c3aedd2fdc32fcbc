"""The tailer against a toy model, under random histories.

Real files in a temporary directory: appended to (torn lines too), renamed and reopened, gzipped,
deleted, truncated, replaced by another file of the same inode; acknowledgements come late, or
never because the collector is killed. The model knows every byte of every generation.
At the end, with a collector that is given time:

- what was delivered of a file is what was written, byte for byte, in order;
- each byte that was there to be read was delivered or is named in a gap;
- bytes that were gone while no collector ran are the only ones that may be missing, and
  where the collector had seen them, they are named;
- nothing is delivered twice unless the collector was killed; each finished file ends once, and
  without loss its size is right.
"""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from collectors.logs.identity import file_id, first_line
from pipeline.contract.record import Chunk
from tests.collectors.rig import Delivered, Kubelet, Rig


@dataclass
class Generation:
    """One file as the model knows it, under whatever name."""

    path: Path
    content: bytearray = field(default_factory=bytearray)
    gone: bool = False  # no name leads to it
    missed: bool = False  # it lost bytes, or itself, while no collector ran
    truncated: bool = False

    def identity(self, uid: str) -> int | None:
        line = first_line(bytes(self.content), complete=True)
        return None if line is None else file_id(uid, "main", 0, line)


class TailerMachine(RuleBasedStateMachine):
    @initialize(inotify=st.booleans(), bound=st.sampled_from([1 << 19, 32 << 20]))
    def begin(self, inotify: bool, bound: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tailer-"))
        root = self.folder / "pods"
        root.mkdir()
        self.pod = Kubelet(root)
        self.generations: list[Generation] = []
        self.live: Generation | None = None
        self.killed = False
        self.rig = Rig(
            root,
            self.folder / "state",
            reading={"inotify": inotify, "chunk_bytes": 4096},
            limits={"unacked_bytes": bound},
        )
        self.rig.start()
        self.up = True

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            try:
                self.judge()
            finally:
                if self.up:
                    self.rig.stop()
                shutil.rmtree(self.folder)

    # -- the node --------------------------------------------------------------------------

    def _current(self) -> Generation:
        if self.live is None:
            self.live = Generation(self.pod.live)
            self.generations.append(self.live)
        return self.live

    @rule(lines=st.integers(1, 5), size=st.sampled_from([50, 300, 5000]), torn=st.booleans())
    def append(self, lines: int, size: int, torn: bool) -> None:
        data = b"".join(self.pod.line(size) for _ in range(lines))
        if torn:
            data += self.pod.line()[:30]
        self._current().content += data
        self.pod.append(data)

    @rule()
    def append_much(self) -> None:
        data = b"".join(self.pod.line(4000) for _ in range(200))
        self._current().content += data
        self.pod.append(data)

    @precondition(lambda self: self.live is not None)
    @rule(late=st.booleans())
    def rotate(self, late: bool) -> None:
        generation = self._current()
        generation.path = self.pod.rename()
        if late:
            if self.up:
                self.rig.step()
            line = self.pod.line()
            generation.content += line
            with generation.path.open("ab") as out:
                out.write(line)
        self.live = None
        self._current()
        self.pod.reopen()

    @precondition(lambda self: self.live is not None)
    @rule()
    def rename_and_back(self) -> None:
        path = self.pod.rename()
        if self.up:
            self.rig.step()
        path.rename(self.pod.live)

    def _plain(self) -> list[Generation]:
        return [
            g for g in self.generations
            if not g.gone and g is not self.live and g.path.suffix != ".gz"
        ]  # fmt: skip

    @precondition(lambda self: self._plain())
    @rule()
    def compress(self) -> None:
        generation = self._plain()[0]
        generation.path = self.pod.compress(generation.path)

    @precondition(lambda self: any(not g.gone and g is not self.live for g in self.generations))
    @rule()
    def delete_oldest(self) -> None:
        oldest = next(g for g in self.generations if not g.gone and g is not self.live)
        oldest.path.unlink()
        self._lost(oldest)

    @precondition(lambda self: any(self._let_go(g) for g in self._plain()))
    @rule()
    def reuse_inode(self) -> None:
        """A generation is deleted, and the file system gives its inode to the next new file: as
        after a restart, or once the collector has closed it."""
        oldest = next(g for g in self._plain() if self._let_go(g))
        inode = oldest.path.stat().st_ino
        self._lost(oldest)
        spare = self.folder / "spare"
        oldest.path.rename(spare)
        spare.write_bytes(b"")
        if self.live is not None:
            self._current().path = self.pod.rename()
            self.live = None
        spare.rename(self.pod.live)
        self._current()
        assert self.pod.live.stat().st_ino == inode

    def _let_go(self, generation: Generation) -> bool:
        """No descriptor of the collector keeps the inode."""
        inode = generation.path.stat().st_ino
        return not self.up or all(
            tail.ino != inode for stream in self.rig.agent._files.streams() for tail in stream.tails
        )

    @precondition(lambda self: self.live is not None and self.live.content)
    @rule()
    def truncate(self) -> None:
        generation = self._current()
        if self.up:
            self.rig.run(
                6, tick=0.5
            )  # the collector has seen what is there, or it could not be judged
        generation.path.write_bytes(b"")
        generation.truncated = True
        self._lost(generation)
        self.live = None
        if self.up:
            self.rig.step()
            self.rig.run(
                6, tick=0.5
            )  # also without inotify: the shorter file is seen before it grows
        self._current()

    @rule()
    def delete_pod(self) -> None:
        self.pod.remove()
        for generation in self.generations:
            if not generation.gone:
                self._lost(generation)
        self.live = None
        self.pod.directory.mkdir(parents=True)

    def _lost(self, generation: Generation) -> None:
        generation.gone = True
        # Without a collector, or before it has looked, nobody can know of the file.
        known = self.up and any((t.dev, t.ino) and t.reader for t in self._open_tails(generation))
        generation.missed = generation.missed or not known

    def _down(self) -> None:
        """What only a descriptor of the collector led to is gone with it."""
        self.up = False
        for generation in self.generations:
            generation.missed = generation.missed or generation.gone

    def _open_tails(self, generation: Generation) -> list:  # type: ignore[type-arg]
        streams = self.rig.agent._files.streams()
        identity = generation.identity(self.pod.uid)
        return [t for s in streams for t in s.tails if t.lane and t.lane.file_id == identity]

    # -- the bus and the collector -----------------------------------------------------------

    @precondition(lambda self: self.up)
    @rule(seconds=st.sampled_from([0.1, 0.5, 2, 12]))
    def run(self, seconds: float) -> None:
        self.rig.run(seconds, tick=0.1 if seconds < 1 else 0.5)

    @precondition(lambda self: self.rig.producer.auto)
    @rule()
    def acknowledge_late(self) -> None:
        self.rig.producer.auto = False

    @precondition(lambda self: not self.rig.producer.auto)
    @rule(count=st.sampled_from([1, 3, None]))
    def acknowledge(self, count: int | None) -> None:
        self.rig.producer.ack(count)
        if count is None:
            self.rig.producer.auto = True

    @precondition(lambda self: self.up)
    @rule(arrive=st.booleans())
    def kill(self, arrive: bool) -> None:
        """What was in flight may still become durable, with nobody to hear of it."""
        if arrive:
            self.rig.producer.ack()
        self.rig.producer.pending.clear()
        self.rig.kill()
        self._down()
        self.killed = True

    @precondition(lambda self: self.up)
    @rule()
    def stop(self) -> None:
        self.rig.stop()
        self.killed = self.killed or bool(self.rig.producer.pending)
        self.rig.producer.pending.clear()
        self._down()

    @precondition(lambda self: not self.up)
    @rule()
    def start(self) -> None:
        self.rig.start()
        self.up = True
        self.rig.step()

    # -- the verdict -------------------------------------------------------------------------

    def judge(self) -> None:
        if not self.up:
            self.start()
        self.rig.producer.auto = True
        self.rig.producer.ack()
        self.rig.run(40, tick=0.5)
        files = self.rig.files()
        for generation in self.generations:
            identity = generation.identity(self.pod.uid)
            if identity is not None:
                self._judge_file(generation, files.get(identity, Delivered()))

    def _judge_file(self, generation: Generation, file: Delivered) -> None:
        content = bytes(generation.content)
        whole = bytearray(len(content))
        last = 0
        for offset, raw in file.ranges:
            assert content[offset : offset + len(raw)] == raw
            whole[offset : offset + len(raw)] = b"\1" * len(raw)
            if not self.killed:
                assert offset == last, "out of order, or twice"
            last = offset + len(raw)
        for gap in file.gaps:
            assert gap.stop <= len(content)
            whole[gap.start : gap.stop] = b"\1" * (gap.stop - gap.start)
        finished = generation.gone or generation is not self.live
        tail = 0 if finished else len(content) - content.rfind(b"\n") - 1
        missing = whole[: len(content) - tail].count(0)
        if missing:
            assert generation.missed, f"{missing} bytes of {generation.path} went unnoticed"
            # Whatever is missing lies behind everything that was delivered or named.
            assert 0 not in whole.rstrip(b"\0")
        if finished and file.events and not generation.missed:
            assert file.ends, f"{generation.path} never ended"
            if not missing and not file.gaps:
                assert file.ends[-1].size == len(content)
            if not self.killed:
                assert len(file.ends) == 1
        if not finished:
            assert not file.ends
        assert all(isinstance(e, Chunk) or e.source.uid == self.pod.uid for e in file.events)


TestTailer = TailerMachine.TestCase
TestTailer.settings = settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes here
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
