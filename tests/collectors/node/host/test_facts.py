"""All facts together: on a hand-made tree, with disks that hang, and on this machine."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.node.host import kernel
from collectors.node.host.config import HostConfig
from collectors.node.host.disks import Disks
from collectors.node.host.facts import HostReader, open_host
from collectors.node.host.mounts import Mount, point_of, table
from collectors.node.host.names import PodNames
from collectors.node.host.processes import scan
from collectors.node.host.systemd import Systemd
from tests.collectors.node.host.bus_server import FakeBus
from tests.collectors.node.host.patience import come_back, patient
from tests.collectors.node.host.tree import BOOT, Tree

MOUNTS = (
    "/dev/sda1 / ext4 rw 0 0\n/dev/sdb /var/lib/kubelet xfs rw 0 0\n"
    "nas:/e /var/lib/containerd nfs4 rw 0 0\n/dev/sdc /var/lib/with\\040blank ext4 rw 0 0\nbroken\n"
)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "proc")
    made.write("loadavg", "1.50 2.25 3.00 4/321 999\n")
    made.write("1/mounts", MOUNTS)
    return made


class Slow:
    """statvfs that hangs at one path until it is let go."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.gate = threading.Event()
        self.hanging = 0

    def __call__(self, path: str) -> os.statvfs_result:
        if path.startswith(self.where):
            self.hanging += 1
            self.gate.wait()
        # bsize, frsize, blocks, bfree, bavail, files, ffree, favail, flag, namemax
        return os.statvfs_result((4096, 1024, 1000, 400, 300, 77, 66, 66, 0, 255))


@pytest.fixture
def slow() -> Iterator[Slow]:
    hanging = Slow("/var/lib/containerd")
    yield hanging
    hanging.gate.set()


def reader(
    tree: Tree,
    statvfs: Callable[[str], os.statvfs_result] = os.statvfs,
    bus: str = "/none",
    *,
    disk_s: float = 60,
    systemd_s: float = 60,
    timer: Callable[[], float] = time.monotonic,
) -> HostReader:
    """What hangs is to be given a short time, and what does not all that it needs."""
    paths = ["/var/lib/kubelet", "/var/lib/kubelet/pods", "/var/lib/containerd", "/var/log"]
    return HostReader(
        proc=str(tree.path),
        names=PodNames([]),
        disks=Disks(paths, root="/", proc=str(tree.path), statvfs=statvfs),
        disk_deadline_s=disk_s,
        systemd=Systemd(bus, units=("kubelet.service",), deadline_s=systemd_s, every_s=10),
        systemd_deadline_s=systemd_s,
        timer=timer,
    )


FIGURES = {"size": 1_024_000, "free": 307_200, "inodes": 77, "inodes_free": 66}


def test_figures_of_a_full_tree(tree: Tree) -> None:
    tree.write("pressure/cpu", "some avg10=12.50 avg60=1.00 avg300=0.10 total=99\n")
    tree.write(
        "pressure/io", "some avg10=3.00 avg60=0.0 avg300=0.0 total=1\nfull avg10=2.00 total=1\n"
    )
    tree.write("meminfo", "MemTotal:  1000 kB\nMemFree: 5 kB\nMemAvailable:  400 kB\n")
    tree.write("sys/net/netfilter/nf_conntrack_count", "120\n")
    tree.write("sys/net/netfilter/nf_conntrack_max", "1000\n")
    tree.write("sys/kernel/pid_max", "4194304\n")
    tree.write("sys/kernel/threads-max", "30000\n")
    tree.write("sys/kernel/random/boot_id", "5f1e-22\n")
    found = kernel.figures(str(tree.path))
    assert "offset_s" in found.pop("clock")
    assert found == {
        "psi": {"cpu": {"some_avg10": 12.5}, "io": {"some_avg10": 3.0, "full_avg10": 2.0}},
        "load": [1.5, 2.25, 3.0],
        "memory": {"total": 1_024_000, "available": 409_600},
        "conntrack": {"count": 120, "max": 1000},
        "pids": {"max": 30000, "running": 321},
        "boot_id": "5f1e-22",
        "uptime_s": 5000.0,
    }


def test_what_is_not_there_is_absent_not_zero(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 8 kB\n")
    (tmp_path / "pressure").mkdir()  # a directory, as where PSI is off
    found = kernel.figures(str(tmp_path))
    assert found["memory"] == {"total": 8192}
    assert sorted(found) == ["clock", "memory"]
    empty = HostReader(
        proc=str(tmp_path / "none"),
        names=PodNames([]),
        disks=Disks([], root="/", proc=str(tmp_path / "none")),
        disk_deadline_s=0.2,
        systemd=Systemd(str(tmp_path / "none"), units=(), deadline_s=0.3, every_s=10),
        systemd_deadline_s=0.3,
    )
    assert sorted(empty.read(0.0)) == ["clock", "systemd"]


def test_daemons_threads_and_stuck_processes_in_one_sample(tree: Tree) -> None:
    tree.process(60, "containerd", age_s=300)
    tree.process(60, "containerd", age_s=300, under="60/task/")
    tree.process(66, "containerd", state="D", wchan="fuse_wait", under="60/task/")
    tree.process(70, "kubelet", state="T", age_s=100)
    (tree.path / "66" / "stat").unlink()  # threads are not listed in /proc, though they open
    tree.process(71, "containerd-shim", state="T")
    tree.process(72, "runc", age_s=30)
    values = reader(tree).read(10.0)
    assert values["daemons"] == {
        "containerd": {"pid": 60, "state": "S", "started": BOOT + 4700},
        "kubelet": {"pid": 70, "state": "T", "started": BOOT + 4900},
    }
    assert [(d["pid"], d["wchan"]) for d in values["dstate"]] == [(66, "fuse_wait")]
    assert values["dstate_count"] == 1
    assert [s["pid"] for s in values["shims"]] == [71]
    assert [r["pid"] for r in values["runc"]] == [72]
    assert values["systemd"] == {"outcome": "absent"}


HANGS = "statvfs /var/lib/containerd"


def test_a_disk_that_hangs_keeps_nothing_else_away(tree: Tree, slow: Slow) -> None:
    host = reader(tree, slow, disk_s=0.2, timer=lambda: patient("statvfs", but=HANGS))
    values = host.read(0.0)
    assert values["fs"] == {
        "/": FIGURES,
        "/var/lib/kubelet": FIGURES,
        "/var/lib/containerd": {"outcome": "timeout"},
    }
    assert values["load"] == [1.5, 2.25, 3.0]


def test_a_disk_that_hangs_costs_one_thread_and_one_wait(tree: Tree, slow: Slow) -> None:
    host = reader(tree, slow, disk_s=0.2)
    host.read(0.0)
    host._disk_deadline_s = 3600  # longer than a test may last, would it be waited for again
    for now in range(1, 6):
        assert host.read(now)["fs"]["/var/lib/containerd"] == {"outcome": "timeout"}
    slow.gate.set()
    come_back("statvfs")
    assert slow.hanging == 1
    assert host.read(9.0)["fs"]["/var/lib/containerd"] == FIGURES


def test_a_silent_systemd_keeps_nothing_else_away(tree: Tree, tmp_path: Path) -> None:
    with FakeBus(tmp_path / "bus", {}) as bus:
        bus.silent_at = "GetUnit"
        host = reader(tree, Slow("/nowhere"), str(bus.path), systemd_s=0.3)
        values = host.read(0.0)
    assert values["systemd"] == {"outcome": "timeout"}
    assert values["fs"]["/"] == FIGURES
    assert "units" not in values


def test_a_path_that_is_a_link_is_filed_under_where_it_leads(tmp_path: Path) -> None:
    data, link = tmp_path / "data", tmp_path / "link"
    data.mkdir()
    link.symlink_to(data)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "mounts").write_text(f"/dev/x / ext4 rw 0 0\n/dev/y {data} ext4 rw 0 0\n")
    disks = Disks([str(link), str(tmp_path / "gone")], root="/", proc=str(tmp_path / "proc"))
    for now in (0.0, 1.0):
        disks.begin(now)
        assert list(disks.take(lambda: 60.0)) == [str(data)]


def test_disks_of_a_host_that_is_mounted_elsewhere(tmp_path: Path, tree: Tree) -> None:
    (tmp_path / "host/var/lib/kubelet").mkdir(parents=True)
    disks = Disks(
        ["/var/lib/kubelet", "/var/log"], root=f"{tmp_path}/host", proc=str(tree.path)
    )  # fmt: skip
    disks.begin(0.0)
    assert list(disks.take(lambda: 60.0)) == ["/var/lib/kubelet"]


def test_the_mount_table_is_text(tree: Tree, tmp_path: Path) -> None:
    found = table(str(tree.path))
    assert found[2] == Mount("/var/lib/containerd", "nfs4", "nas:/e")
    assert found[3].point == "/var/lib/with blank"
    assert len(found) == 4
    assert point_of("/var/lib/kubelet-old", found) == "/"
    assert point_of("/var/lib/kubelet/pods", found) == "/var/lib/kubelet"
    assert table(str(tmp_path)) == []


def test_this_machine(tmp_path: Path) -> None:
    """The real thing: whatever is absent here, this much every Linux has."""
    config = HostConfig(disks=(tmp_path,), bus=tmp_path / "none")
    host = open_host(config, log_roots=[tmp_path])
    host._disk_deadline_s = 60
    began = time.time()
    values: dict[str, Any] = dict(host.read(time.monotonic()))
    ended = time.time()
    assert values["uptime_s"] > 0
    assert values["memory"]["total"] > values["memory"]["available"] > 0
    assert values["pids"]["max"] > values["pids"]["running"] > 0
    assert len(values["boot_id"]) == 36
    assert isinstance(values["clock"]["synchronised"], bool)
    assert abs(values["clock"]["offset_s"]) < 60
    (figures,) = values["fs"].values()
    assert figures["size"] >= figures["free"] > 0
    own = next(p for p in scan("/proc") if p.pid == os.getpid())
    started = kernel.boot_time("/proc") + own.started_s
    assert began - 5 < started + own.age(values["uptime_s"]) < ended + 5


def test_300_processes_cost_little(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """One small file is read of each that is well: 3 to 5 ms of CPU for a whole look."""
    for pid in range(2, 301):
        tree.process(pid, "app", cgroup="0::/x")
    tree.process(400, "containerd")
    host = reader(tree, Slow("/nowhere"))
    opened, really = Counter[str](), os.open

    def counted(path: Any, *args: Any, **kwargs: Any) -> int:
        opened[str(path)] += 1
        return really(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", counted)
    host.read(0.0)
    of_apps = Counter({path: n for path, n in opened.items() if _pid(path) in range(2, 301)})
    assert of_apps == Counter(f"{tree.path}/{pid}/stat" for pid in range(2, 301))


def _pid(path: str) -> int:
    name = Path(path).parent.name
    return int(name) if name.isdigit() else 0
