"""Mounts that hang are found, and cost one process each, even where that cannot be killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collectors.node.blackbox.mounts import suspicious
from collectors.node.host.asleep import Sleepers
from collectors.node.host.disks import Disks
from collectors.node.host.mounts import Mount, table
from collectors.node.host.names import PodNames
from collectors.node.host.processes import scan
from tests.collectors.node.blackbox.fuse import hanging_mount
from tests.collectors.node.host.patience import patient


def probe(mounts: Sequence[tuple[str, str]], deadline_s: float = 60) -> dict[str, Any]:
    """As the black box does it: in a process of its own."""
    asked = [{"mount": path, "type": kind, "path": path} for path, kind in mounts]
    task = {"mounts": asked, "deadline_s": deadline_s, "parallel": 4}
    done = subprocess.run(
        [sys.executable, "-m", "collectors.node.blackbox.mounts"],
        input=json.dumps(task), capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return {result["mount"]: result for result in results}


def test_only_mounts_with_a_server_behind_them_are_probed() -> None:
    kinds = ["ext4", "nfs4", "fuse.s3fs", "fuse", "cifs", "ceph", "overlay", "proc", "fusectl"]
    kinds += ["fuse.lxcfs", "tmpfs", "nfsd", "autofs"]
    found = suspicious([Mount(f"/{kind}", kind, "x") for kind in kinds])
    assert [mount.type for mount in found] == ["nfs4", "fuse.s3fs", "fuse", "cifs", "ceph"]
    assert len(suspicious([Mount(f"/{n}", "nfs", "x") for n in range(1000)])) == 64


def test_mounts_that_answer_and_that_fail(tmp_path: Path) -> None:
    found = probe([(str(tmp_path), "nfs"), (str(tmp_path / "gone"), "nfs"), ("/proc", "nfs")])
    assert found[str(tmp_path)]["outcome"] == "ok"
    assert found["/proc"]["outcome"] == "ok"
    gone = found[str(tmp_path / "gone")]
    assert (gone["outcome"], gone["detail"]) == ("unreachable", "No such file or directory")


def test_a_mount_that_hangs_is_named_with_the_process_that_could_not_be_killed(
    tmp_path: Path,
) -> None:
    with hanging_mount(tmp_path / "hangs") as point:
        assert any(m.point == str(point) and m.type == "fuse.hangs" for m in table("/proc"))
        found = probe([(str(point), "fuse.hangs"), ("/proc", "nfs")], deadline_s=8)
        assert found["/proc"]["outcome"] == "ok"
        assert found[str(point)]["outcome"] == "timeout"
        prober = found[str(point)]["prober"]
        asleep = Sleepers("/proc", PodNames([])).see(scan("/proc"), 0.0)
        (entry,) = [entry for entry in asleep if entry["pid"] == prober]
        assert entry["comm"] == "kubeledger-stat"
        assert entry.get("wchan", "request_wait_answer") == "request_wait_answer"
    deadline = time.monotonic() + 60
    while Path(f"/proc/{prober}").exists():  # it goes with the mount
        assert _state(prober) != "D" or time.monotonic() < deadline
        if _state(prober) == "Z":
            break
        time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_host_facts_of_a_disk_that_really_hangs(tmp_path: Path) -> None:
    with hanging_mount(tmp_path / "hangs") as point:
        disks = Disks([str(point), str(tmp_path)], root="/", proc="/proc")
        hangs = f"statvfs {point}"
        for now in (0.0, 1.0):
            disks.begin(now)
            end = time.monotonic() + 0.5
            found = disks.take(lambda end=end: end - patient("statvfs", but=hangs))  # type: ignore[misc]
            assert found.pop(str(point)) == {"outcome": "timeout"}
            (figures,) = found.values()
            assert figures["size"] == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
