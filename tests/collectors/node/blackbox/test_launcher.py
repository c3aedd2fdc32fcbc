"""The launcher never waits, never leaves more than one run, and knows a verdict from a mess; and
whole runs: launcher, process, fake runtime."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from collectors.node.blackbox.config import BlackBoxConfig, ProgramLog
from collectors.node.blackbox.launcher import LEAST_PAUSE_S, Launcher
from collectors.node.host.config import HostConfig
from pipeline.base.clock import ManualClock
from pipeline.base.telemetry import RecordingTelemetry
from tests.collectors.node.blackbox.cri_server import Runtime, serving
from tests.collectors.node.blackbox.fuse import hanging_mount

DOCUMENT = {"probe": "cri", "verdict": "answers", "complete": True}


class Rig:
    """A launcher whose child is a line of Python, or the real thing."""

    def __init__(self, folder: Path, *command: str, **config: Any) -> None:
        self.telemetry, self.clock = RecordingTelemetry(), ManualClock()
        settings: dict[str, Any] = {"logs": (), "sockets": (folder / "cri.sock",)}
        more = {"command": command} if command else {}
        self.launcher = Launcher(
            BlackBoxConfig(**settings | config),
            host=HostConfig(),
            log_roots=[folder],
            environment=dict(os.environ),
            telemetry=self.telemetry,
            clock=self.clock,
            **more,  # type: ignore[arg-type]
        )

    @property
    def pid(self) -> int:
        run = self.launcher._run
        assert run is not None
        return run.pid

    def result(self, seconds: float = 120) -> Mapping[str, Any] | None:
        """Once the run is over."""
        deadline = time.monotonic() + seconds
        while self.launcher._run is not None:
            body = self.launcher.finished()
            if body is not None:
                self.reaped()
                return body
            assert time.monotonic() < deadline, "it does not end"
            time.sleep(0.01)
        self.reaped()
        return None

    def reaped(self) -> None:
        deadline = time.monotonic() + 60
        while self.launcher._groups:
            self.launcher.finished()
            assert time.monotonic() < deadline, "it is not reaped"
            time.sleep(0.01)

    def count(self, how: str) -> float:
        return self.telemetry.values.get(("kubeledger_black_box_runs_total", (how,)), 0)

    def next(self) -> None:
        self.clock.advance(LEAST_PAUSE_S)


@pytest.fixture
def python(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(script: str, **config: Any) -> Rig:
        made.append(Rig(tmp_path, "-c", f"import json, os, sys, time\n{script}", **config))
        return made[-1]

    yield make
    for rig in made:
        rig.launcher.close()


SAY = "print(json.dumps({}), flush=True)"
WHOLE = SAY.format(json.dumps(DOCUMENT).replace("true", "True"))


def told(folder: Path) -> str:
    """Python that goes on once there is a file `go`."""
    return f"[time.sleep(0.01) for _ in iter(lambda: os.path.exists({str(folder / 'go')!r}), True)]"


def gone(rig: Rig, pid: int) -> bool:
    """Reaped, not a zombie."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        rig.launcher.finished()
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def test_start_returns_at_once_and_the_result_comes_once(
    python: Callable[..., Rig], tmp_path: Path
) -> None:
    rig = python(f"{told(tmp_path)}; {WHOLE}")
    rig.launcher.start("pleg-age")  # the child has not been told to go on
    assert rig.launcher.finished() is None
    (tmp_path / "go").touch()
    assert rig.result() == {"probe": "cri", "verdict": "answers"}
    assert rig.launcher.finished() is None
    assert rig.count("answers") == 1


def test_the_task_arrives_as_it_was_given(python: Callable[..., Rig], tmp_path: Path) -> None:
    rig = python("print(json.dumps({'task': json.load(sys.stdin), 'complete': True}))", total_s=27)
    rig.launcher.start("why not")
    task = (rig.result() or {})["task"]
    assert task["why"] == "why not"
    assert task["config"]["total_s"] == 27
    assert task["config"]["sockets"] == [{"/": str(tmp_path / "cri.sock")}]
    assert task["log_roots"] == [{"/": str(tmp_path)}]
    assert task["host"]["proc"] == {"/": "/proc"}


def test_one_at_a_time_and_not_too_often(python: Callable[..., Rig], tmp_path: Path) -> None:
    rig = python(f"{told(tmp_path)}; {WHOLE}")
    rig.launcher.start("first")
    pid = rig.pid
    rig.next()
    rig.launcher.start("second")
    assert rig.pid == pid
    assert rig.count("skipped") == 1
    (tmp_path / "go").touch()
    rig.result()
    rig.launcher.start("a minute has passed")
    assert rig.result() is not None
    rig.clock.advance(LEAST_PAUSE_S - 1)
    rig.launcher.start("too soon")
    assert rig.result() is None
    assert rig.count("skipped") == 2
    rig.clock.advance(1)
    rig.launcher.start("again")
    assert rig.result() is not None


def test_a_child_that_never_ends_is_killed_at_its_deadline(python: Callable[..., Rig]) -> None:
    rig = python("time.sleep(600)", total_s=20)
    rig.launcher.start("x")
    pid = rig.pid
    rig.clock.advance(22)
    assert rig.launcher.finished() is None
    assert not gone_now(pid)
    rig.clock.advance(2)
    assert rig.launcher.finished() is None
    assert gone(rig, pid)
    assert rig.count("late") == 1
    assert ("black-box-failed", {"level": "warn", "how": "late", "why": ""}) in rig.telemetry.events
    rig.next()
    rig.launcher.start("the next one is begun")
    assert rig.pid != pid


def gone_now(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_it_left_running_is_killed_too(python: Callable[..., Rig]) -> None:
    words = ["python", "-c", "import time; time.sleep(600)"]
    spawn = f"p = os.posix_spawn({sys.executable!r}, {words}, {{}})"
    rig = python(
        f"{spawn}; print(json.dumps({{'verdict': 'answers', 'left': p, 'complete': True}}))"
    )
    rig.launcher.start("x")
    left = (rig.result() or {})["left"]
    deadline = time.monotonic() + 60
    while not gone_now(left) and _state(left) != "Z":  # an orphan: reaped by whoever inherits it
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def test_a_verdict_survives_the_kill_of_what_was_to_follow(python: Callable[..., Rig]) -> None:
    early = SAY.format("{'verdict': 'runtime-wide'}")
    rig = python(f"{early}; time.sleep(600)", total_s=20)
    rig.launcher.start("x")
    wait_for(rig, b"\n")
    assert rig.launcher.finished() is None, "it goes on"
    rig.clock.advance(60)
    assert rig.launcher.finished() == {"verdict": "runtime-wide", "incomplete": "late"}


def wait_for(rig: Rig, text: bytes) -> None:
    run = rig.launcher._run
    assert run is not None
    deadline = time.monotonic() + 60
    while text not in os.pread(run.out, 1 << 16, 0):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_child_killed_by_somebody_else(python: Callable[..., Rig]) -> None:
    rig = python("print('{', flush=True); time.sleep(600)")
    rig.launcher.start("x")
    pid = rig.pid
    wait_for(rig, b"{")
    os.kill(pid, signal.SIGKILL)
    assert rig.result() is None
    assert rig.count("died") == 1
    assert gone(rig, pid)


def test_a_child_that_has_said_all_and_does_not_end_is_not_waited_for(
    python: Callable[..., Rig],
) -> None:
    rig = python(f"{WHOLE}; time.sleep(600)")
    rig.launcher.start("x")
    wait_for(rig, b"complete")
    assert rig.launcher.finished() is None
    pid = rig.pid
    rig.clock.advance(2)
    assert rig.launcher.finished() == {"probe": "cri", "verdict": "answers"}
    assert gone(rig, pid)


def test_half_a_document_is_none(python: Callable[..., Rig]) -> None:
    rig = python("sys.stdout.write('{\"verdict\": \"ans'); sys.stderr.write('Traceback: it broke')")
    rig.launcher.start("x")
    assert rig.result() is None
    assert rig.count("died") == 1
    assert rig.telemetry.events[-1][1]["why"] == "Traceback: it broke"


@pytest.mark.parametrize("line", ["not json", "[1, 2]", "17"])
def test_nonsense_is_no_result(python: Callable[..., Rig], line: str) -> None:
    rig = python(f"print({line!r})")
    rig.launcher.start("x")
    assert rig.result() is None
    assert rig.count("died") == 1


def test_a_child_that_writes_for_ever_is_killed(python: Callable[..., Rig]) -> None:
    endless = "[print('x' * 60000, time.sleep(0.001)) for _ in iter(int, 1)]"  # memory is not
    rig = python(endless, max_bytes=32 << 10)
    rig.launcher.start("x")
    pid = rig.pid
    assert rig.result() is None
    assert gone(rig, pid)
    assert rig.count("too-large") == 1


def test_what_was_stuck_is_asked_first_the_next_time(python: Callable[..., Rig]) -> None:
    found = {
        "verdict": "one-container", "complete": True, "stuck": [{"id": "c1"}],
        "mounts": [{"mount": "/nfs", "prober": 77}, {"mount": "/ok"}],
    }  # fmt: skip
    script = f"task = json.load(sys.stdin); print(json.dumps({found!r} | {{'task': task}}))"
    rig = python(script)
    rig.launcher.start("first")
    assert (rig.result() or {})["task"]["suspects"] == []
    rig.next()
    rig.launcher.start("second")
    task = (rig.result() or {})["task"]
    assert task["suspects"] == ["c1"]
    assert task["left"] == [{"mount": "/nfs", "pid": 77}]


def test_a_python_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, "-c", "pass")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    rig.launcher.start("x")
    assert rig.launcher.finished() is None
    assert rig.count("not-started") == 1


# -- whole runs ------------------------------------------------------------------------------------


PATIENT = {"call_s": 10, "total_s": 90}  # the runtime says itself that a call hangs
PATIENT_BOX = """
from collectors.node.blackbox import evidence
from collectors.node.blackbox.__main__ import main
evidence._LOOK_S = evidence._TAILS_S = evidence._PROBER_S = 25.0
main()
"""  # with time to begin for what looks at mounts; a mount that hangs is not waited for any longer


def test_a_whole_run_names_the_stuck_pod(tmp_path: Path) -> None:
    log = tmp_path / "kubelet.log"
    log.write_text("I1125 kubelet says so\n")
    rig = Rig(tmp_path, **PATIENT, logs=(ProgramLog(program="kubelet", path=log),))
    with serving(tmp_path / "cri.sock", Runtime(hangs={"PodSandboxStatus b-sandbox"})):
        rig.launcher.start("pleg-age, relist-stopped")
        body = rig.result() or {}
    assert (body["probe"], body["why"]) == ("cri", "pleg-age, relist-stopped")
    assert body["verdict"] == "one-container"
    (stuck,) = body["stuck"]
    assert (stuck["namespace"], stuck["pod"], stuck["id"]) == ("shop", "b", "b-sandbox")
    assert body["tails"] == {"kubelet": ["I1125 kubelet says so"]}
    assert body["runtime"] == "fakerd 9.9"
    assert "complete" not in body
    assert body["ms"] >= 400
    assert rig.count("one-container") == 1


def test_a_whole_run_at_a_hung_runtime_and_at_none(tmp_path: Path) -> None:
    rig = Rig(tmp_path, **PATIENT)
    with serving(tmp_path / "cri.sock", Runtime(hangs={"ListPodSandbox"})):
        rig.launcher.start("x")
        assert (rig.result() or {})["verdict"] == "runtime-wide"
    rig.next()
    (tmp_path / "cri.sock").unlink(missing_ok=True)
    rig.launcher.start("x")
    body = rig.result() or {}
    assert (body["verdict"], body["calls"]) == ("no-socket", [])


def test_a_mount_that_hangs_leaves_one_process_behind_not_one_each_run(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "-P", "-c", PATIENT_BOX, total_s=90)
    with hanging_mount(tmp_path / "hangs") as point:
        probers = []
        for _ in range(2):
            rig.launcher.start("x")
            body = rig.result() or {}
            (mount,) = [m for m in body["mounts"] if m["mount"] == str(point)]
            assert mount["outcome"] == "timeout"
            probers.append(mount["prober"])
            rig.next()
        assert probers[0] == probers[1]
        (asleep,) = [d for d in body["dstate"] if d["pid"] == probers[0]]
        assert asleep["for_s"] >= 1.0
        assert any("fuse" in frame or "request_wait" in frame for frame in asleep["stack"])


def test_the_agent_does_not_load_what_the_box_needs() -> None:
    program = (
        "import sys, collectors.node.blackbox.launcher, collectors.node.host.facts; "
        "print(sorted({'grpc', 'google.protobuf', 'jeepney', 'pydantic', 'subprocess', 'ctypes', "
        "'concurrent.futures'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
