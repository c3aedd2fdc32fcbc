"""The writer must be what it says: its own oracle, read back with a parser of its own."""

import gzip
import itertools
import json
import re
import subprocess
import sys
import zlib
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.lifecycle import Stop
from pipeline.console.kubelet_files import PART, ContainerLog
from pipeline.console.kubelet_lines import KINDS, SEQUENCE, Moment
from pipeline.console.kubelet_writer import KubeletWriter, Plan

STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,8}[1-9]|\.[1-9])?Z")


def read(folder: Path) -> list[bytes]:
    """Per restart: all generations, oldest first."""
    return [
        b"".join(content(path) for path in sorted(folder.glob(f"{restart}.log.*")))
        + (folder / f"{restart}.log").read_bytes()
        for restart in sorted({int(path.name.split(".")[0]) for path in folder.iterdir()})
    ]


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def join(data: bytes) -> list[bytes]:
    """Lines as the process printed them; an open part at the end of a file counts as a line."""
    bodies: list[bytes] = []
    open_parts: dict[bytes, bytes] = defaultdict(bytes)
    assert data.endswith(b"\n") or not data
    for line in data.split(b"\n")[:-1]:
        stamp, stream, tag, content = line.split(b" ", 3)
        assert STAMP.fullmatch(stamp), stamp
        assert len(content) <= PART
        open_parts[stream] += content
        if tag == b"F":
            bodies.append(open_parts.pop(stream))
        else:
            assert tag == b"P"
    return bodies + list(open_parts.values())


def check(folder: Path, container: dict[str, Any]) -> None:
    restarts = read(folder)
    assert sum(map(len, restarts)) == container["bytes"]
    bodies = [body for data in restarts for body in join(data)]
    numbers = [int(n) for body in bodies for n in re.findall(SEQUENCE.encode(), body)]
    assert sorted(numbers) == list(range(1, container["lines"] + 1))
    assert sum(map(zlib.crc32, bodies)) == container["crc32_sum"]


def folder_of(root: Path, container: dict[str, Any]) -> Path:
    return root / f"{container['namespace']}_{container['pod']}_{container['uid']}" / "main"


def test_what_is_on_disk_is_what_the_oracle_says(tmp_path: Path) -> None:
    plan = Plan(tmp_path, containers=7, mbps=1, max_size=60_000, max_files=50, monitor_s=1)
    with KubeletWriter(plan, ManualClock()) as writer:
        writer.run(4.0, Stop())
        oracle = writer.oracle()
        assert 3_800_000 < oracle["bytes"] < 4_500_000
        assert oracle["rotations"] > 10
        assert {c["kind"] for c in oracle["containers"]} == set(KINDS)
        for container in oracle["containers"]:
            check(folder_of(tmp_path, container), container)


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): content(path) for path in root.rglob("*.log*")}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    oracles = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        plan = Plan(
            tmp_path / name,
            containers=4,
            seed=seed,
            mbps=1,
            max_size=50_000,
            monitor_s=1,
            restart_every_s=1.5,
            replace_every_s=2.2,
        )
        with KubeletWriter(plan, ManualClock()) as writer:
            writer.run(5.0, Stop())
            oracles.append(writer.oracle())
    assert oracles[0] == oracles[1] != oracles[2]
    assert tree(tmp_path / "a") == tree(tmp_path / "b") != tree(tmp_path / "c")
    assert any(c["deleted"] for c in oracles[0]["containers"])
    assert any(c["restarts"] for c in oracles[0]["containers"])


def test_generations_look_as_the_kubelet_leaves_them(tmp_path: Path) -> None:
    clock = ManualClock()
    with KubeletWriter(Plan(tmp_path, containers=1, max_files=4), clock) as writer:
        (container,) = writer.live()
        main = container.log.folder
        for _ in range(6):
            writer.write(20_000)
            (main / "0.log.20200101-000000.tmp").write_bytes(b"left behind by a crash")
            writer.rotate(container)  # six within a second of this clock: each gets its own name
        names = sorted(path.name for path in main.iterdir())
        assert names[0] == "0.log"
        assert [name.endswith(".gz") for name in names[1:]] == [True, True, False]
        assert all(re.fullmatch(r"0\.log\.\d{8}-\d{6}(\.gz)?", name) for name in names[1:])
        assert writer.oracle()["removed_generations"] == 3


def test_lines_written_before_the_reopen_are_in_the_renamed_file(tmp_path: Path) -> None:
    clock = ManualClock()
    moment = Moment()
    lines = KINDS["klog"](Random(1), moment)
    log = ContainerLog(tmp_path, lines, rng=Random(2), moment=moment)
    log.start()
    log.write(1000, wall_ns=clock.wall_ns(), tear=True)  # its torn line must not change files
    log.rotate(clock, max_files=3, late_bytes=500)
    log.close()
    (renamed,) = tmp_path.glob("0.log.*")
    assert renamed.stat().st_size == log.counts.bytes
    assert renamed.read_bytes().endswith(b"\n")
    assert (tmp_path / "0.log").read_bytes() == b""


def test_restart_in_the_middle_of_a_line_leaves_a_part_without_its_end(tmp_path: Path) -> None:
    with KubeletWriter(Plan(tmp_path, containers=1, kinds=("json",)), ManualClock()) as writer:
        (container,) = writer.live()
        writer.write(5_000)
        writer.restart(container)
        writer.write(5_000)
        writer.restart(container)
        main = container.log.folder
        assert sorted(path.name for path in main.iterdir()) == ["0.log", "1.log", "2.log"]
        assert b" stdout P " in (main / "0.log").read_bytes().splitlines()[-1]
        assert b" stdout F " in (main / "1.log").read_bytes().splitlines()[-1]
        (summary,) = writer.oracle()["containers"]
        assert summary["restarts"] == 2
    check(main, summary)


def test_parts_of_a_long_line_and_the_other_stream_interleave(tmp_path: Path) -> None:
    plan = Plan(tmp_path, containers=1, kinds=("long",))
    with KubeletWriter(plan, ManualClock()) as writer:
        writer.write(2_000_000)
        (container,) = writer.live()
        lines = b"".join(read(container.log.folder)).splitlines()
    tags = [tuple(line.split(b" ", 3)[1:3]) for line in lines]
    assert (b"stdout", b"P") in tags
    between = [
        (first, second)
        for first, second in itertools.pairwise(tags)
        if first == (b"stdout", b"P") and second == (b"stderr", b"F")
    ]
    assert between


def test_a_deleted_pod_is_gone_from_disk_and_kept_by_the_oracle(tmp_path: Path) -> None:
    pods = tmp_path / "pods.json"
    plan = Plan(tmp_path / "logs", containers=2, mbps=1, replace_every_s=1, pods_file=pods)
    with KubeletWriter(plan, ManualClock()) as writer:
        before = {item["metadata"]["uid"] for item in json.loads(pods.read_text())["items"]}
        writer.run(1.5, Stop())
        oracle = writer.oracle()
        after = {item["metadata"]["uid"] for item in json.loads(pods.read_text())["items"]}
    deleted = [c for c in oracle["containers"] if c["deleted"]]
    assert [c["uid"] for c in deleted] == list(before - after)
    assert deleted[0]["lines"] > 0
    assert not folder_of(plan.root, deleted[0]).parent.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_of_every_kind_carries_its_number_once(kind: str) -> None:
    moment = Moment()
    moment.move(1_795_412_100)
    lines = KINDS[kind](Random(3), moment)
    for expected in range(1, 3000):
        _, body = next(lines)
        assert re.findall(SEQUENCE.encode(), body) == [b"%d" % expected]
        assert b"\n" not in body


def test_command_prints_the_oracle_as_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.console.kubelet_writer", "--root", str(tmp_path)]
    done = subprocess.run(
        [*command, "--mbps", "2", "--seconds", "0.3", "--containers", "2"],
        capture_output=True,
        check=True,
        timeout=120,
    )
    oracle = json.loads(done.stdout)
    assert len(oracle["containers"]) == 2
    for container in oracle["containers"]:
        check(folder_of(tmp_path, container), container)
