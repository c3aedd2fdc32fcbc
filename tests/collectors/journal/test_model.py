"""Journals under anything that can happen: acknowledgements late or never, kills, boots, entries
vacuumed behind the collector and in front of it. Every entry arrives once, in its order, or an
inexact end says that some are missing."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.collectors.journal.rig import Node, messages
from tests.collectors.rig import Delivered

programs = st.sampled_from(["kubelet", "containerd", "kernel", "systemd"])


class JournalMachine(RuleBasedStateMachine):
    @initialize(first=st.booleans())
    def begin(self, first: bool) -> None:
        self.folder = tempfile.mkdtemp()
        self.node = Node(Path(self.folder), mark_s=1.0)
        journal = self.node.config.journal.model_copy(update={"file_bytes": 1000})
        self.node.config = self.node.config.model_copy(update={"journal": journal})
        self.written: list[tuple[str, str]] = []
        if first:
            self.write("kernel", 1)
        self.node.start()

    @rule(program=programs, count=st.integers(1, 3))
    def write(self, program: str, count: int) -> None:
        for _ in range(count):
            message = f"{self.node.journal.number + 1}"
            self.node.journal.write(program, message)
            self.written.append((program, message))

    @rule(program=programs)
    def write_much(self, program: str) -> None:
        for _ in range(5):
            number = f"{self.node.journal.number + 1}"
            self.node.journal.write(program, f"{number}-{'x' * 200}")
            self.written.append((program, number))

    @rule(seconds=st.sampled_from([0.1, 0.5, 3.0]))
    def work(self, seconds: float) -> None:
        self.node.run(seconds)

    @rule(auto=st.booleans())
    def bus(self, auto: bool) -> None:
        self.node.producer.auto = auto
        if auto:
            self.node.producer.ack()

    @rule(count=st.integers(1, 5))
    def acknowledge(self, count: int) -> None:
        self.node.producer.ack(count)

    @rule(arrives=st.booleans(), steps=st.integers(0, 3))
    def kill(self, arrives: bool, steps: int) -> None:
        self.node.run(steps / 10 or 0.1)
        self.node.kill()
        if arrives:
            self.node.producer.ack()
        self.node.producer.pending.clear()
        self.node.start()

    @rule()
    def restart(self) -> None:
        self.node.stop()
        self.node.producer.pending.clear()  # the bus was away; the client has given up
        self.node.start()

    @rule()
    def child_dies(self) -> None:
        self.node.source.again()

    @precondition(lambda self: self.node.journal.boot < 2)
    @rule()
    def boot(self) -> None:
        self.node.journal.boot += 1

    @rule(count=st.integers(1, 6))
    def vacuum(self, count: int) -> None:
        self.node.journal.vacuum(count)
        self.node.source.again()  # entries are only removed unread when they were not read for long
        if not any(position.mark for _, position in self.node.positions.items()):
            # Nobody has ever read anything: what is gone now, nobody can miss.
            gone = {f["MESSAGE"].partition("-")[0] for f in self.node.journal.vacuumed}
            self.written = [(p, number) for p, number in self.written if number not in gone]

    def teardown(self) -> None:
        if hasattr(self, "node"):
            try:
                self.judge(self.node)
            finally:
                if self.node.life is not None:
                    self.node.life.close()
                shutil.rmtree(self.folder, ignore_errors=True)

    def judge(self, node: Node) -> None:
        node.producer.auto = True
        node.producer.ack()
        for program in ("kubelet", "containerd", "kernel", "systemd"):
            self.write(program, 1)
        node.run(20)
        node.stop()
        gone = {f["MESSAGE"].partition("-")[0] for f in node.journal.vacuumed}
        files = list(node.files().values())
        inexact = any(not end.exact for file in files for end in file.ends)
        for program in ("kubelet", "containerd", "kernel", "systemd"):
            wanted = [number for p, number in self.written if p == program]
            own = [file for file in files if file.events[0].source.container == program]
            parts = [self.numbers(file) for file in own]
            found = [number for part in parts for number in part]
            for part in parts:
                assert part == sorted(set(part), key=int), "in order, and once"
            # What was on its way at a kill, and vacuumed before the next life, may come twice:
            # at the end of one file, whose end is inexact then, and in the next.
            assert inexact or found == wanted
            missing = set(wanted) - set(found)
            assert missing <= gone
            assert not missing or inexact, "and it is said, at every log that was known then"
            assert sum(not file.ends for file in own) == 1, "one file is open"

    def numbers(self, file: Delivered) -> list[str]:
        content = file.content()
        for end in file.ends:
            assert not end.exact or end.size == len(content)
        return [message.partition("-")[0] for message in messages(content)]


TestJournals = JournalMachine.TestCase
TestJournals.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
