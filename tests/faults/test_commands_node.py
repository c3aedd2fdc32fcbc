"""The node's own troubles, through the command line: no permission, and a disk that is full for
the positions or for the bus. What cannot be done now is said, and done once it can be."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.journeys.command import SECOND, count, query, run, serving, up, wait_for

UID = "0a1b2c3d-0000-4000-8000-{:012d}"


def container(root: Path, number: int) -> Path:
    folder = root / f"shop_web-{number}_{UID.format(number)}" / "main"
    folder.mkdir(parents=True)
    return folder / "0.log"


def lines(first: int, many: int, width: int = 1) -> bytes:
    return "".join(
        f"{SECOND}.{n:09d}Z stdout F line {n} {os.urandom(width).hex()}\n"
        for n in range(first, first + many)
    ).encode()


def events(log: Path, name: str) -> list[dict[str, object]]:
    if not log.exists():
        return []
    lines = log.read_text().splitlines(keepends=True)  # the last one may still be being written
    said = [json.loads(one) for one in lines if one.startswith("{") and one.endswith("}\n")]
    return [event for event in said if event["event"] == name]


@contextmanager
def started(words: Sequence[object], *, log: Path, file_bytes: int = 0) -> Iterator[None]:
    """A service of its own, in the background; `file_bytes` is the largest file it may write."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "kubeledger", *map(str, words)],
            stdout=out,
            stderr=out,
            preexec_fn=limit if file_bytes else None,
        )
    try:
        yield
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text()


def test_a_disk_that_is_full_for_positions_and_for_the_bus(tmp_path: Path) -> None:
    pods, data, nothing = tmp_path / "pods", tmp_path / "data", tmp_path / "nothing"
    nothing.mkdir()
    live = container(pods, 1)
    live.write_bytes(lines(0, 100))
    state = tmp_path / "state"
    state.mkdir()
    # The journal is larger than any file may be from the start; the bus becomes so.
    forgotten = b"".join(b'%08x ["x","%016x"]\n' % (0, n) for n in range(30_000))
    (state / "positions.log").write_bytes(b"kubeledger-positions 1\n" + forgotten)
    config = {
        "node": "n1",
        "roots": [str(pods)],
        "state_dir": str(state),
        "broker": {"url": f"sqlite:{data / 'bus.db'}"},
        "health": "127.0.0.1:0",
    }
    path = tmp_path / "collect.yaml"
    path.write_text(yaml.safe_dump(config))
    log = tmp_path / "collect.log"
    with up("--logs", nothing, "--data", data):
        wait_for(lambda: serving(data), "the store")
        with started(("collect", "--config", path), log=log, file_bytes=800_000):
            wait_for(lambda: count(data) == 100, "lines past full positions")
            wait_for(lambda: bool(events(log, "positions-lag")), "word of the full positions")
            with live.open("ab") as out:
                out.write(lines(100, 20_000, 100))
            wait_for(lambda: bool(events(log, "bus.notice")), "word of the full bus")
        with started(("collect", "--config", path), log=log):
            wait_for(lambda: count(data) == 20_100, "everything, once there is room")
    document = json.loads(run("audit", "--data", data, "--json"))
    assert (document["ok"], document["duplicates"], document["unexplained"]) == (True, 0, 0)
    distinct = query(data, "SELECT uniqExact(body) AS n FROM logs")[0]["n"]
    assert int(distinct) == 20_100


def unprivileged(words: Sequence[object]) -> list[str]:
    """The command, as somebody whom permissions concern: root, but without the right to ignore
    them."""
    command = [sys.executable, "-m", "kubeledger", *map(str, words)]
    if os.geteuid() != 0:
        return command
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*drop, "true"]).returncode:
        pytest.skip("running as root, and setpriv cannot change what that means")
    return [*drop, *command]


def test_files_and_directories_without_permission(tmp_path: Path) -> None:
    pods, data = tmp_path / "pods", tmp_path / "data"
    files = [container(pods, number) for number in (1, 2, 3)]
    for path in files:
        path.write_bytes(lines(0, 10))
    closed_file, closed_pod = files[1], files[2].parents[1]
    command = unprivileged(("up", "--logs", pods, "--data", data))
    pods.chmod(0)
    refused = subprocess.run(command, capture_output=True, text=True)
    assert (refused.returncode, f"'{pods}' is not readable" in refused.stderr) == (2, True)
    pods.chmod(0o755)
    closed_file.chmod(0)
    closed_pod.chmod(0)
    with (tmp_path / "up.log").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    log = data / "log" / "collect.log"
    try:
        wait_for(lambda: serving(data), "the store")
        wait_for(lambda: count(data) == 10, "the file that can be read")
        wait_for(lambda: said(log, closed_file), "word of the file that cannot")
        wait_for(lambda: said(log, closed_pod), "word of the directory that cannot")
        closed_file.chmod(0o644)
        closed_pod.chmod(0o755)
        wait_for(lambda: count(data) == 30, "the rest, once it may be read")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    told = (tmp_path / "up.log").read_text()
    assert process.returncode == 0, told
    assert "Traceback" not in told
    assert json.loads(run("audit", "--data", data, "--json"))["ok"] is True


def said(log: Path, path: Path) -> bool:
    """Exactly one event names it."""
    return sum(e["path"] == str(path) for e in events(log, "cannot-open-log")) == 1
