"""The probe and its verdict, against a real gRPC server that hangs where it is told to."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from collectors.node.blackbox import verdict
from collectors.node.blackbox.cri import Cri
from collectors.node.blackbox.messages import Result
from collectors.node.blackbox.probe import FIRST, Findings, Limits, probe
from collectors.node.blackbox.sockets import Listener, candidates, of_kubelet, try_all
from tests.collectors.node.blackbox.cri_server import Pod, Runtime, serving

LIMITS = Limits(call_s=60, total_s=600, parallel=8, stats=True)
BRIEF = LIMITS._replace(call_s=0.4)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with serving(tmp_path / "cri.sock", Runtime()) as server:
        yield server


def ask(path: Path, limits: Limits = LIMITS, **more: Any) -> Findings:
    cri = Cri(str(path / "cri.sock"))
    try:
        return probe(cri, limits, suspects=more.pop("suspects", ()), **more)
    finally:
        cri.close()


def names(found: Findings) -> list[str]:
    return [f"{s['call']} {s['namespace']}/{s['pod']}/{s['container']}" for s in stuck(found)]


def stuck(found: Findings) -> list[dict[str, str]]:
    return verdict.stuck(found.asked)


def test_a_runtime_that_is_well_answers_everything(tmp_path: Path, runtime: Runtime) -> None:
    found = ask(tmp_path)
    assert verdict.conclude(found) == ("answers", "all 13 calls are answered")
    assert found.runtime == "fakerd 9.9"
    assert found.conditions["RuntimeReady"]["status"] is True
    assert found.conditions["NetworkReady"] == {
        "status": False, "reason": "NetworkPluginNotReady", "message": "no cni",
    }  # fmt: skip
    assert verdict.counts(found) == {
        "PodSandboxStatus": 3, "ContainerStatus": 3, "ContainerStats": 3,
    }  # fmt: skip
    assert [c["call"] for c in verdict.calls(found)] == [
        "Version", "Status", "ListPodSandbox", "ListContainers",
    ]  # fmt: skip
    assert stuck(found) == []


@pytest.mark.parametrize("call", ["Version", "Status", "ListPodSandbox"])
def test_a_first_call_that_hangs_is_runtime_wide(
    tmp_path: Path, runtime: Runtime, call: str
) -> None:
    runtime.hangs.add(call)
    found = ask(tmp_path)
    assert verdict.conclude(found) == ("runtime-wide", f"no answer: {call}")
    assert found.first[call].outcome == "timeout"
    assert found.first[call].ms >= 400


def test_a_call_that_hangs_is_given_up_at_its_deadline(tmp_path: Path, runtime: Runtime) -> None:
    runtime.hangs.add("Version")
    runtime.hang_s = 3600
    found = ask(tmp_path, BRIEF)
    assert found.first["Version"].outcome == "timeout"
    assert found.first["Version"].ms >= 390


def test_a_hung_list_of_containers_is_runtime_wide_unless_one_pod_explains_it(
    tmp_path: Path, runtime: Runtime
) -> None:
    runtime.hangs.add("ListContainers")
    assert verdict.conclude(ask(tmp_path))[0] == "runtime-wide"
    runtime.hangs.add("PodSandboxStatus b-sandbox")
    found = ask(tmp_path)
    assert verdict.conclude(found)[0] == "one-container"
    assert names(found) == ["PodSandboxStatus shop/b/"]


@pytest.mark.parametrize(
    ("hang", "said"),
    [
        ("PodSandboxStatus b-sandbox", "PodSandboxStatus shop/b/"),
        ("ContainerStatus b-app", "ContainerStatus shop/b/app"),
        ("ContainerStats b-app", "ContainerStats shop/b/app"),
    ],
)
def test_one_pod_that_hangs_is_named(
    tmp_path: Path, runtime: Runtime, hang: str, said: str
) -> None:
    runtime.hangs.add(hang)
    found = ask(tmp_path)
    assert verdict.conclude(found)[0] == "one-container"
    assert names(found) == [said]
    (entry,) = stuck(found)
    assert entry["id"] == hang.split()[1]
    assert entry["uid"] == "uid-b"
    (call,) = [c for c in verdict.calls(found) if c["outcome"] == "timeout"]
    assert call["target"] == hang.split()[1]
    assert call["ms"] >= 400


def test_a_container_whose_status_and_statistics_hang_is_named_once(
    tmp_path: Path, runtime: Runtime
) -> None:
    runtime.hangs |= {"ContainerStats b-app", "ContainerStatus b-app"}
    assert names(ask(tmp_path)) == ["ContainerStatus shop/b/app"]


def test_when_no_pod_is_answered_for_it_is_the_runtime(tmp_path: Path, runtime: Runtime) -> None:
    runtime.hangs |= {"PodSandboxStatus", "ContainerStatus", "ContainerStats"}
    assert verdict.conclude(ask(tmp_path))[0] == "runtime-wide"
    runtime.pods = runtime.pods[:1]  # a single pod proves nothing about the rest
    assert verdict.conclude(ask(tmp_path))[0] == "one-container"


def test_errors_are_answers(tmp_path: Path, runtime: Runtime) -> None:
    runtime.fails["Version"] = grpc.StatusCode.INTERNAL
    found = ask(tmp_path)
    assert verdict.conclude(found) == ("answers", "answered with errors: Version INTERNAL")
    assert verdict.calls(found)[0] == {
        "call": "Version", "outcome": "status", "ms": found.first["Version"].ms,
        "detail": "INTERNAL Version is told to fail",
    }  # fmt: skip


def test_a_pod_that_has_gone_meanwhile_is_an_answer(tmp_path: Path, runtime: Runtime) -> None:
    runtime.fails["PodSandboxStatus a-sandbox"] = grpc.StatusCode.NOT_FOUND
    found = ask(tmp_path)
    assert verdict.counts(found)["PodSandboxStatus"] == 3
    assert verdict.conclude(found)[0] == "answers"


def test_an_unreadable_answer_is_an_outcome(tmp_path: Path, runtime: Runtime) -> None:
    runtime.says |= {"Version": b"\xff\xff", "ListContainers": b"\x0a\x7fshort"}
    found = ask(tmp_path)
    assert found.first["Version"].outcome == "unreadable"
    assert found.first["ListContainers"].outcome == "unreadable"
    assert verdict.counts(found) == {"PodSandboxStatus": 3}


def test_old_runtimes_are_asked_in_their_own_words(tmp_path: Path) -> None:
    with serving(tmp_path / "cri.sock", Runtime(service="runtime.v1alpha2.RuntimeService")):
        assert verdict.conclude(ask(tmp_path))[0] == "answers"


def test_a_service_that_is_not_cri_is_not_taken_for_one(tmp_path: Path) -> None:
    with serving(tmp_path / "cri.sock", Runtime(service="containerd.services.X")):
        assert ask(tmp_path).first["Version"].code == "UNIMPLEMENTED"


def test_the_most_suspicious_come_first(tmp_path: Path, runtime: Runtime) -> None:
    runtime.pods = [
        Pod("old", created=1), Pod("new", created=9), Pod("named", created=2),
        Pod("broken", ready=False, created=3), Pod("known", created=4),
        Pod("creating", created=5, state=0), Pod("done", created=6, state=2),
    ]  # fmt: skip
    limits = LIMITS._replace(parallel=1)
    ask(tmp_path, limits, suspects={"uid-known"}, why="log: shop/named does not answer")
    asked = runtime.asked[4:]
    assert asked[:4] == [
        "PodSandboxStatus known-sandbox", "ContainerStatus known-app",
        "PodSandboxStatus named-sandbox", "ContainerStatus named-app",
    ]  # fmt: skip
    assert asked[4:6] == ["ContainerStatus creating-app", "PodSandboxStatus broken-sandbox"]
    assert asked[6:8] == ["PodSandboxStatus new-sandbox", "ContainerStatus new-app"]
    stats = [word for word in asked if word.startswith("ContainerStats")]
    assert asked[-len(stats) :] == stats, "statistics come last"
    assert "ContainerStats done-app" not in asked, "what has ended has no shim to ask"
    assert "ContainerStats creating-app" not in asked


class Counting:
    """A runtime whose calls about single pods all hang until their deadline, as soon as so many
    are under way; then the time is over for all of them."""

    def __init__(self, at_once: int) -> None:
        pods = [Pod(f"p{n}", created=n) for n in range(30)]
        self.lists = Runtime(pods=pods)
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        self.now = 0.0
        self.deadline = threading.Barrier(at_once, self.pass_time, timeout=60)

    def pass_time(self) -> None:
        self.now += 0.3

    def call(self, name: str, request: bytes, deadline_s: float) -> Result:
        if name in FIRST:
            return Result("ok", 1, self.lists.body(name))
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.deadline.wait()
        with self.lock:
            self.at_once -= 1
        return Result("timeout", round(deadline_s * 1000))


def test_at_most_so_many_at_once_and_for_so_long() -> None:
    runtime = Counting(at_once=4)
    limits = Limits(call_s=0.3, total_s=1.0, parallel=4, stats=True)
    found = probe(runtime, limits, suspects=(), timer=lambda: runtime.now)
    assert runtime.most_at_once == 4
    assert (len(found.asked), found.unasked) == (12, 78)


def test_without_statistics_when_told_so(tmp_path: Path, runtime: Runtime) -> None:
    ask(tmp_path, LIMITS._replace(stats=False))
    assert not [word for word in runtime.asked if word.startswith("ContainerStats")]


def test_a_server_that_accepts_and_says_nothing_is_runtime_wide(tmp_path: Path) -> None:
    """As a stopped process: the kernel goes on accepting for it."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "cri.sock"))
        server.listen()
        found = ask(tmp_path, BRIEF)
        assert verdict.conclude(found)[0] == "runtime-wide"
        assert {result.outcome for result in found.first.values()} == {"timeout"}


def test_a_connection_that_ends_at_once_is_no_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "cri.sock"))
    found = ask(tmp_path)  # a dead file, asked all the same
    assert verdict.conclude(found)[0] == "no-socket"


def test_sockets_are_found_and_dead_ones_told_from_silent_ones(tmp_path: Path) -> None:
    dead, alive, full = (str(tmp_path / name) for name in ("dead", "alive", "full"))
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(dead)
    with socket.socket(socket.AF_UNIX) as two, socket.socket(socket.AF_UNIX) as three:
        two.bind(alive)
        two.listen()
        three.bind(full)
        three.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(full)
        found = {one.path: one.outcome for one in try_all([dead, alive, full, f"{tmp_path}/no"])}
        for client in waiting:
            client.close()
    assert found == {dead: "refused", alive: "ok", full: "timeout"}


def test_which_sockets_are_tried() -> None:
    usual = ["/run/containerd/containerd.sock", "/run/crio/crio.sock"]
    assert candidates(["/mine"], kubelet=["/k"], usual=usual, root="/host") == ["/mine"]
    assert candidates([], kubelet=["/k"], usual=usual, root="/host") == ["/host/k", "/k"]
    assert candidates([], kubelet=[], usual=usual, root="/") == usual


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("kubelet --container-runtime-endpoint unix:///run/x", ["/run/x"]),
        ("kubelet --container-runtime-endpoint=/run/x --v=2", ["/run/x"]),
        ("kubelet --container-runtime-endpoint=unix:///run/x --config=/plain", ["/run/x"]),
        ("kubelet --config=/plain", ["/run/plain.sock"]),
        ("kubelet --config /json", ["/run/json.sock"]),
        ("kubelet --config=/silent", []),
        ("kubelet --container-runtime-endpoint=tcp://127.0.0.1:3735", []),
        ("kubelet --config", []),
        ("", []),
    ],
)
def test_what_the_kubelet_was_told(arguments: str, expected: list[str]) -> None:
    files = {
        "/plain": "kind: x\ncontainerRuntimeEndpoint: unix:///run/plain.sock\n",
        "/json": '{"containerRuntimeEndpoint": "unix:///run/json.sock", "x": 1}'.replace(
            "{", "{\n"
        ),
        "/silent": "# containerRuntimeEndpoint: unix:///run/no.sock\n",
    }
    assert of_kubelet(arguments.split(), files.__getitem__) == expected


def test_without_a_socket_the_reason_says_what_was_tried() -> None:
    nothing = verdict.without_runtime([])
    assert (nothing["verdict"], nothing["reason"]) == ("no-socket", "no socket is there")
    dead = verdict.without_runtime([Listener("/run/x", "refused", 0, "dead")])
    assert dead["verdict"] == "no-socket"
    assert dead["calls"] == [
        {"call": "connect", "target": "/run/x", "outcome": "refused", "ms": 0, "detail": "dead"}
    ]
    assert verdict.without_runtime([Listener("/x", "timeout", 2000)])["verdict"] == "runtime-wide"
