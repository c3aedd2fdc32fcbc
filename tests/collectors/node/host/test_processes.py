"""The process table of a hand-made procfs, and what is concluded from it."""

import os
from pathlib import Path
from typing import Any

import pytest

from collectors.node.aside import Aside
from collectors.node.host.asleep import LISTED, Sleepers
from collectors.node.host.cgroups import NOBODY, Owner, owner
from collectors.node.host.names import PodNames
from collectors.node.host.processes import scan
from collectors.node.host.runtime import RuntimeProcesses, Table, daemons
from tests.collectors.node.host.tree import CGROUP, CONTAINER, POD, UPTIME_S, Tree

UNDER = POD.replace("-", "_")
STATIC = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
IN_POD = Owner(POD, CONTAINER)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "proc")


@pytest.fixture
def names(tmp_path: Path) -> PodNames:
    (tmp_path / "pods" / f"shop_cart-0_{POD}").mkdir(parents=True)
    return PodNames([str(tmp_path / "none"), str(tmp_path / "pods")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"11:memory:/kubepods/burstable/pod{POD}/{CONTAINER}\n1:name=systemd:/x\n", IN_POD),
        (f"4:cpu:/\n3:pids:/kubepods/pod{POD}/{CONTAINER}\n", IN_POD),
        (CGROUP, IN_POD),
        (f"0::/../../kubepods.slice/kubepods-pod{UNDER}.slice/crio-{CONTAINER}.scope", IN_POD),
        (f"0::/kubepods.slice/kubepods-pod{UNDER}.slice/docker-{CONTAINER}.scope/x", IN_POD),
        (
            f"0::/system.slice/kubepods-burstable-pod{UNDER}.slice:cri-containerd:{CONTAINER}",
            IN_POD,
        ),
        (f"0::/kubepods/besteffort/pod{STATIC}/{CONTAINER}", Owner(STATIC, CONTAINER)),
        (f"0::/kubepods/besteffort/pod{POD}", Owner(POD)),
        (f"0::/system.slice/docker-{CONTAINER}.scope\n", Owner("", CONTAINER)),
        (f"2:cpu:/docker/{CONTAINER}\n1:pids:/kubepods/pod{POD}/{CONTAINER}\n", IN_POD),
        ("0::/system.slice/containerd.service\n", NOBODY),
        ("0::/user.slice/podman-1234.scope\n", NOBODY),
        ("", NOBODY),
    ],
)
def test_a_cgroup_path_names_pod_and_container(text: str, expected: Owner) -> None:
    assert owner(text) == expected


def test_the_table_is_read_whatever_the_name_of_a_process(tree: Tree) -> None:
    tree.process(7, "a) S (b", state="D", ppid=3)
    tree.process(8, "gone")
    (tree.path / "8" / "stat").write_text("")
    tree.write("9/stat", "9 (cut) S 1\n")
    (tree.path / "10").mkdir()
    found = {p.pid: p for p in scan(str(tree.path))}
    assert sorted(found) == [1, 7]
    assert (found[7].comm, found[7].state, found[7].ppid) == ("a) S (b", "D", 3)
    assert found[7].age(UPTIME_S) == pytest.approx(100.0)
    assert scan(str(tree.path / "none")) == []


def test_one_sleep_that_does_not_end_is_told_from_many(tree: Tree, names: PodNames) -> None:
    tree.process(20, "cat", state="D", wchan="rpc_wait_bit_killable", cgroup=CGROUP)
    tree.process(21, "dd", state="D", wchan="folio_wait_bit", switches=5)
    sleepers = Sleepers(str(tree.path), names)

    def see(now: float) -> dict[int, dict[str, Any]]:
        return {entry["pid"]: entry for entry in sleepers.see(scan(str(tree.path)), now)}

    assert {pid: entry["for_s"] for pid, entry in see(100.0).items()} == {20: 0, 21: 0}
    tree.process(21, "dd", state="D", switches=6)  # has run in between
    later = see(140.0)
    assert later[20] == {
        "pid": 20,
        "comm": "cat",
        "wchan": "rpc_wait_bit_killable",
        "for_s": 40.0,
        "container": CONTAINER,
        "pod_uid": POD,
        "pod": "shop/cart-0",
    }
    assert later[21] == {"pid": 21, "comm": "dd", "for_s": 0.0}
    tree.process(20, "cat")  # awake
    assert 20 not in see(145.0)
    tree.process(20, "cat", state="D")
    assert see(150.0)[20]["for_s"] == 0


def test_a_pid_used_again_is_another_process(tree: Tree, names: PodNames) -> None:
    sleepers = Sleepers(str(tree.path), names)
    tree.process(20, "cat", state="D", age_s=100)
    sleepers.see(scan(str(tree.path)), 0.0)
    tree.process(20, "cat", state="D", age_s=1)
    assert sleepers.see(scan(str(tree.path)), 9.0)[0]["for_s"] == 0


def test_a_thousand_sleepers_are_not_all_listed_and_the_oldest_stay(
    tree: Tree, names: PodNames
) -> None:
    sleepers = Sleepers(str(tree.path), names)
    tree.process(900, "first", state="D")
    sleepers.see(scan(str(tree.path)), 0.0)
    for pid in range(100, 100 + 2 * LISTED):
        tree.process(pid, "many", state="D")
    found = sleepers.see(scan(str(tree.path)), 10.0)
    assert len(found) == LISTED
    assert (found[0]["pid"], found[0]["for_s"]) == (900, 10.0)


def test_daemons_are_those_of_the_node_not_those_in_pods(tree: Tree) -> None:
    tree.process(50, "containerd", age_s=400, cgroup=CGROUP)  # docker in docker
    tree.process(60, "containerd", age_s=300)
    tree.process(61, "containerd", age_s=200)
    tree.process(70, "kubelet", state="T", age_s=100)
    tree.process(80, "dockerd", state="Z")
    table = Table(scan(str(tree.path)), UPTIME_S, 0)
    found = daemons(str(tree.path), table)
    assert {name: (p.pid, p.state) for name, p in found.items()} == {
        "containerd": (60, "S"),
        "kubelet": (70, "T"),
    }


def test_stuck_shims_and_old_runc_are_named_with_their_pod(tree: Tree, names: PodNames) -> None:
    sandbox = "ab" * 32
    shim = ("/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", sandbox)
    tree.process(30, "containerd-shim", state="T", command=shim)
    tree.process(31, "pause", ppid=30, cgroup=CGROUP)
    tree.process(32, "containerd-shim", command=shim)  # well
    tree.process(33, "bash", state="T")  # stopped, and no shim
    command = ("runc", "--root", "/run/containerd/runc/k8s.io", "--log", "/x/log.json", "create")
    tree.process(40, "runc", age_s=11, command=(*command, "--token=hunter2", "create", CONTAINER))
    tree.process(41, "runc:[2:INIT]", age_s=90, ppid=40, cgroup=CGROUP)
    tree.process(42, "runc", age_s=9)
    tree.process(43, "runcible", age_s=900)
    table = Table(scan(str(tree.path)), UPTIME_S, 0)
    processes = RuntimeProcesses(str(tree.path), names)
    assert processes.stuck_shims(table, 0.0) == [
        {
            "pid": 30,
            "comm": "containerd-shim",
            "state": "T",
            "age_s": 100.0,
            "container": sandbox,
            "pod_uid": POD,
            "pod": "shop/cart-0",
        }
    ]
    runc = {entry["pid"]: entry for entry in processes.old_runc(table, 0.0, older_s=10)}
    assert sorted(runc) == [40, 41]
    assert runc[40]["command"] == "runc --root /run/containerd/runc/k8s.io --log … create"
    assert (runc[40]["container"], runc[40]["pod"]) == (CONTAINER, "shop/cart-0")
    assert runc[41]["command"] == "runc:[2:INIT]"


def test_docker_of_old_has_shims_too(tree: Tree, names: PodNames) -> None:
    tree.process(30, "docker-containe", state="D", command=("docker-containerd-shim", "x"))
    tree.process(31, "docker-containe", state="D", command=("docker-containerd", "x"))
    table = Table(scan(str(tree.path)), UPTIME_S, 0)
    found = RuntimeProcesses(str(tree.path), names).stuck_shims(table, 0.0)
    assert [entry["pid"] for entry in found] == [30]


def test_a_command_line_that_hangs_is_waited_for_once(
    tree: Tree, names: PodNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    class Counted(Aside[bytes]):
        def begin(self) -> None:
            begun.append(self._name)
            super().begin()

    monkeypatch.setattr("collectors.node.host.cmdline.Aside", Counted)
    for pid in (30, 31, 32):
        tree.process(pid, "containerd-shim", state="D")
        (tree.path / str(pid) / "cmdline").unlink()
        os.mkfifo(tree.path / str(pid) / "cmdline")  # opening it blocks
    processes = RuntimeProcesses(str(tree.path), names)
    found = processes.stuck_shims(Table(scan(str(tree.path)), UPTIME_S, 0), 0.0)
    assert {entry["pid"] for entry in found} == {30, 31, 32}
    assert begun == ["cmdline"]
    for pid in (30, 31, 32):  # let the thread go
        try:
            os.close(os.open(tree.path / str(pid) / "cmdline", os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            continue


def test_names_are_looked_for_again_but_not_for_ever(tmp_path: Path) -> None:
    names = PodNames([str(tmp_path)])
    assert names.name("u1", 0.0) == ""
    (tmp_path / "ns_p_u1").mkdir()
    (tmp_path / "not-a-pod").mkdir()
    assert names.name("u1", 9.0) == ""
    assert names.name("u1", 10.0) == "ns/p"
    assert names.name("", 99.0) == ""
