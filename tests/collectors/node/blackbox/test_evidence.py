"""What is kept: last lines, bounds, dumps; and a look at processes by hand-made trees."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from collectors.node.blackbox import tails
from collectors.node.blackbox.bounds import fit, size
from collectors.node.blackbox.config import BlackBoxConfig, ProgramLog
from collectors.node.blackbox.dump import dump_goroutines, handles
from collectors.node.blackbox.evidence import Evidence, own_pids
from collectors.node.blackbox.tails import tail_of
from collectors.node.host.config import HostConfig
from collectors.node.host.processes import Process, scan
from tests.collectors.node.host.patience import come_back
from tests.collectors.node.host.tree import CGROUP, CONTAINER, POD, Tree


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not hang may take its time."""
    monkeypatch.setattr("collectors.node.blackbox.evidence._LOOK_S", 60)
    monkeypatch.setattr("collectors.node.blackbox.evidence._TAILS_S", 60)
    monkeypatch.setattr("collectors.node.blackbox.tails._JOURNAL_S", 60)


def evidence(tmp_path: Path, **config: Any) -> Evidence:
    (tmp_path / "pods" / f"shop_cart-0_{POD}").mkdir(parents=True, exist_ok=True)
    box = BlackBoxConfig(**{"logs": (), "lines": 20} | config)
    return Evidence(
        SimpleNamespace(
            config=box,
            host=HostConfig(proc=tmp_path / "proc", root=tmp_path),
            log_roots=[tmp_path / "pods"],
            left=[],
        )
    )


def test_processes_are_looked_at_twice_and_a_sleep_that_lasts_is_said_to(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "proc")
    tree.process(20, "java", cgroup=CGROUP)
    tree.process(20, "java", cgroup=CGROUP, under="20/task/")
    tree.process(25, "java-io", state="D", wchan="nfs_wait", cgroup=CGROUP, under="20/task/")
    (tree.path / "25" / "stat").unlink()  # a thread
    tree.write("25/stack", "[<0>] nfs_wait_bit+0x1\n[<0>] rpc_call+0x2\n")
    shim = ("containerd-shim", "-id", "ab" * 32)
    tree.process(30, "containerd-shim", state="T", age_s=900, command=shim)
    for pid in range(100, 180):
        tree.process(pid, "containerd-shim", age_s=pid)
    tree.process(31, "runc", age_s=2, command=("runc", "--root", "/x", "state", CONTAINER))
    kept = evidence(tmp_path)
    kept.begin()
    first = kept.look()
    assert first["dstate"] == [
        {
            "pid": 25, "comm": "java-io", "for_s": 0.0, "wchan": "nfs_wait", "pod_uid": POD,
            "container": CONTAINER, "pod": "shop/cart-0",
            "stack": ["nfs_wait_bit+0x1", "rpc_call+0x2"],
        }
    ]  # fmt: skip
    assert first["dstate_count"] == 1
    assert first["shims"][0]["pid"] == 30
    assert len(first["shims"]) == 41
    assert first["shims"][1]["pid"] == 100, "the youngest of those that are well"
    assert [runc["pid"] for runc in first["runc"]] == [31], "of any age"
    assert kept.suspects() >= {CONTAINER, POD, "shop/cart-0", "ab" * 32}
    rest = kept.rest()
    assert rest["dstate"][0]["for_s"] >= 1.0
    assert rest["mounts"] == []
    assert rest["tails"] == {}


def test_the_last_lines_of_a_file(tmp_path: Path) -> None:
    log = tmp_path / "kubelet.log"
    log.write_bytes(b"".join(b"line %d \xff\n" % n for n in range(100_000)) + b"x" * 5000)
    found = tail_of(ProgramLog(program="kubelet", path=log), lines=200, journal_dir=None)
    assert len(found) == 200
    assert found[-2] == "line 99999 \N{REPLACEMENT CHARACTER}"
    assert found[-1] == "x" * 1024
    log.write_text("only\n")
    assert tail_of(ProgramLog(program="k", path=log), lines=9, journal_dir=None) == ["only"]
    assert tail_of(ProgramLog(program="k", path=log), lines=0, journal_dir=None) == []
    with pytest.raises(FileNotFoundError):
        tail_of(ProgramLog(program="k", path=tmp_path / "no"), lines=9, journal_dir=None)


def test_a_line_is_cut_in_bytes_whatever_is_in_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for text in (b"\xff" * 3000, "é".encode() * 3000, b"\xf0\x9f\x98\x80" * 900):
        log.write_bytes(text)
        (line,) = tail_of(ProgramLog(program="k", path=log), lines=5, journal_dir=None)
        assert 1000 < len(line.encode()) <= 1024


def journalctl(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bin").mkdir()
    program = folder / "bin" / "journalctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")


def test_the_last_lines_of_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journalctl(tmp_path, 'echo "$@"; echo second', monkeypatch)
    found = tail_of(
        ProgramLog(program="kubelet", unit="kubelet.service"), lines=200, journal_dir=Path("/j")
    )
    assert found == [
        "--no-pager --quiet -o short-precise -u kubelet.service -n 200 --directory /j", "second",
    ]  # fmt: skip


def test_a_journal_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journalctl(tmp_path, "exec sleep 3600", monkeypatch)  # longer than a test may last
    monkeypatch.setattr(tails, "_JOURNAL_S", 0.2)
    assert tail_of(ProgramLog(program="k", unit="k.service"), lines=9, journal_dir=None) == []


def test_a_log_that_hangs_keeps_nothing_else_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.node.blackbox.evidence._TAILS_S", 0.5)
    Tree(tmp_path / "proc")
    os.mkfifo(tmp_path / "hangs.log")  # opening it blocks
    (tmp_path / "good.log").write_text("fine\n")
    logs = (
        ProgramLog(program="kubelet", path=tmp_path / "hangs.log"),
        ProgramLog(program="containerd", path=tmp_path / "good.log"),
        ProgramLog(program="crio", path=tmp_path / "none.log"),
    )
    kept = evidence(tmp_path, logs=logs)
    kept.begin()
    kept.look()
    come_back("tail", but="tail kubelet")
    assert kept.rest()["tails"] == {"containerd": ["fine"]}
    os.close(os.open(tmp_path / "hangs.log", os.O_RDWR))  # let the thread go


def body(lines: int = 200, shims: int = 50, sleepers: int = 32) -> dict[str, Any]:
    stack = ["frame" * 10] * 24
    return {
        "verdict": "one-container",
        "calls": [{"call": "x" * 50, "detail": "d" * 300}] * 100,
        "stuck": [{"pod": f"p{n}"} for n in range(100)],
        "dstate": [{"pid": n, "stack": stack} for n in range(sleepers)],
        "shims": [{"pid": n, "x": "y" * 200} for n in range(shims)],
        "runc": [], "mounts": [],
        "tails": {name: [f"{n} " + "z" * 1000 for n in range(lines)] for name in ("k", "c")},
    }  # fmt: skip


def test_what_fits_is_left_alone() -> None:
    small = body(lines=3, shims=1, sleepers=1)
    assert fit(small, 256 << 10) == small


@pytest.mark.parametrize("limit", [32 << 10, 64 << 10, 256 << 10])
def test_what_does_not_fit_is_cut_where_it_matters_least(limit: int) -> None:
    found = fit(body(), limit)
    assert size(found) <= limit
    assert found["verdict"] == "one-container"
    assert found["stuck"] == body()["stuck"][: len(found["stuck"])] != []
    assert found["dstate"]
    assert "tails" in found["cut"]
    for lines in found["tails"].values():
        assert lines
        assert lines[-1].startswith("199 "), "the newest lines are kept"


def test_a_dump_is_asked_only_of_who_handles_the_signal() -> None:
    # Short sleeps: a signal just before a long one would be heard only at its end.
    wait = "[time.sleep(0.05) for _ in iter(int, 1)]"
    script = f"import signal, sys, time; {{}}; print('up', flush=True); {wait}"
    tame = "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))"
    for handler, said, code in ((tame, "sent", 7), ("pass", "it does not handle SIGUSR1", None)):
        child = subprocess.Popen(
            [sys.executable, "-c", script.format(handler)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        process = next(p for p in scan("/proc") if p.pid == child.pid)
        assert handles("/proc", child.pid) is (code is not None)
        assert dump_goroutines("/proc", {"containerd": process}) == {"containerd": said}
        if code is None:
            assert child.poll() is None, "it lives on"
            child.send_signal(signal.SIGKILL)
        assert child.wait(60) == (code if code is not None else -signal.SIGKILL)
        child.stdout.close()


def test_no_signal_is_sent_by_pids_of_another_namespace(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "proc")
    assert own_pids("/proc")
    assert not own_pids(str(tree.path))
    tree.write("self/status", f"Name:\tx\nNSpid:\t4711\t{os.getpid()}\n")
    assert not own_pids(str(tree.path))
    process = Process(os.getpid(), "containerd", "S", 1, 1)
    assert dump_goroutines(str(tree.path), {"containerd": process}) == {
        "containerd": "needs the host's pid namespace"
    }
    assert json.dumps(dump_goroutines(str(tree.path), {})) == "{}"
