"""Timed connects on loopback: what listens, what refuses, what does not answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from collectors.node import canary as canary_module
from collectors.node.canary import Canary
from collectors.node.config import CanaryConfig
from collectors.node.dial import Place, connect
from collectors.node.ports import PATH, Instant, Request
from pipeline.base.clock import SystemClock
from pipeline.contract import state
from tests.collectors.rig import LateClock

REQUEST = Request("n:path:1", PATH, "", Instant(0, 0), 6)


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening.getsockname()[1]


@pytest.fixture
def closed() -> Iterator[int]:
    with socket.socket() as bound:  # bound and not listening: refuses, and nobody else takes it
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def full() -> Iterator[int]:
    """A port whose queue is full: a connect gets no answer, as with a firewall that drops."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        for _ in range(8):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(address)
        yield address[1]


def canary(tmp_path: Path, node: str = "node-a", **settings: Any) -> Canary:
    resolv = tmp_path / "resolv.conf"
    if not resolv.exists():
        resolv.write_text("")
    environment = settings.pop("environment", {})
    settings.setdefault("deadline_s", 30)
    return Canary(
        CanaryConfig(**settings), node=node, environment=environment, clock=SystemClock(),
        resolv_conf=resolv,
    )  # fmt: skip


def targets(of: Canary) -> list[dict[str, Any]]:
    answer = of(REQUEST)
    assert answer.outcome == state.OK
    assert answer.values is not None
    return list(answer.values["targets"])


def test_all_outcomes_at_the_same_time_within_one_deadline(
    listener: int, closed: int, full: int
) -> None:
    clock = SystemClock()
    places = [
        Place("apiserver", "127.0.0.1", listener),
        Place("dns", "127.0.0.1", closed),
        *(Place(f"kubelet:{n}", "127.0.0.1", full) for n in range(5)),
    ]
    results = connect(places, 0.4, clock)
    assert [r["outcome"] for r in results] == [state.OK, state.REFUSED] + [state.TIMEOUT] * 5
    assert results[0] == {
        "name": "apiserver", "address": f"127.0.0.1:{listener}", "outcome": "ok",
        "ms": results[0]["ms"],
    }  # fmt: skip
    (waited,) = {r["ms"] for r in results[2:]}  # one after the other they would differ
    assert waited >= 400


def test_what_was_answered_in_time_is_no_timeout_for_who_looks_late(
    listener: int, closed: int
) -> None:
    places = [Place("apiserver", "127.0.0.1", listener), Place("dns", "127.0.0.1", closed)]
    outcomes = [r["outcome"] for r in connect(places, 0.4, LateClock())]
    assert outcomes == [state.OK, state.REFUSED]


def test_targets_of_a_pod_in_a_cluster(tmp_path: Path, listener: int, closed: int) -> None:
    (tmp_path / "resolv.conf").write_text("# comment\nsearch x\nnameserver 127.0.0.1\n")
    found = targets(
        canary(
            tmp_path,
            environment={
                "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(listener),
            },
            metadata=f"127.0.0.1:{closed}",
            kubelets=(f"node-b=127.0.0.1:{listener}",),
            pods=(f"web-0=127.0.0.1:{listener}",),
        )
    )  # fmt: skip
    assert [(t["name"], t["outcome"]) for t in found if t["name"] != "dns"] == [
        ("apiserver", "ok"), ("metadata", "refused"), ("kubelet:node-b", "ok"), ("pod:web-0", "ok"),
    ]  # fmt: skip
    (dns,) = [t for t in found if t["name"] == "dns"]
    assert dns["address"] == "127.0.0.1:53"


def test_two_kubelets_are_chosen_spread_over_nodes_and_never_ones_own(
    tmp_path: Path, closed: int
) -> None:
    nodes = tuple(f"node-{n}=127.0.0.{n + 10}:{closed}" for n in range(8))
    chosen: dict[str, int] = {}
    for n in range(8):
        found = targets(canary(tmp_path, node=f"node-{n}", kubelets=nodes))
        names = [t["name"] for t in found]
        assert len(set(names)) == 2
        assert f"kubelet:node-{n}" not in names
        assert names == [
            t["name"] for t in targets(canary(tmp_path, node=f"node-{n}", kubelets=nodes))
        ]
        for name in names:
            chosen[name] = chosen.get(name, 0) + 1
    assert len(chosen) >= 5


def test_addresses_of_this_machine_are_passed_over(
    tmp_path: Path, closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A headless service over all nodes lists this one too."""
    monkeypatch.setattr(
        canary_module, "_look_up", lambda host: ["127.0.0.1", "198.51.100.71", "198.51.100.72"]
    )
    asked: list[str] = []
    monkeypatch.setattr(  # nobody is there to be waited for
        canary_module, "connect", lambda places, *_: asked.extend(p.name for p in places) or []
    )
    assert targets(canary(tmp_path, kubelets=(f"kubelets.example:{closed}",))) == []
    assert set(asked) == {"kubelet:198.51.100.71", "kubelet:198.51.100.72"}


def test_a_name_that_does_not_resolve_hides_nothing_else_and_keeps_its_addresses(
    tmp_path: Path, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    answers: dict[str, Any] = {"good": ["127.0.0.1"], "bad": OSError("no such name")}

    def look_up(host: str) -> list[str]:
        answer = answers[host]
        if answer == "hang":
            released.wait()
            return []
        if isinstance(answer, OSError):
            raise answer
        return list(answer)

    monkeypatch.setattr(canary_module, "_look_up", look_up)
    one = canary(
        tmp_path, apiserver=f"good:{listener}", metadata=f"bad:{listener}",
        pods=(f"p=127.0.0.1:{listener}",),
    )  # fmt: skip
    found = {t["name"]: t for t in targets(one)}
    assert found["apiserver"]["outcome"] == found["pod:p"]["outcome"] == state.OK
    assert found["metadata"]["outcome"] == state.UNREACHABLE
    assert "no such name" in found["metadata"]["detail"]
    answers["good"] = answers["bad"] = "hang"
    one._config = one._config.model_copy(update={"deadline_s": 0.3})
    found = {t["name"]: t for t in targets(one)}
    assert found["apiserver"]["outcome"] == state.OK  # at the address that it had
    assert found["metadata"]["outcome"] == state.TIMEOUT
    released.set()


def test_no_route_and_ipv6(closed: int) -> None:
    (found,) = connect([Place("dns", "::1", closed)], 30, SystemClock())
    assert found["address"] == f"[::1]:{closed}"
    assert found["outcome"] in (state.REFUSED, state.UNREACHABLE)


@pytest.mark.parametrize("text", ["10.0.0.1", "x:", ":53", "a=b"])
def test_an_address_without_a_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        CanaryConfig(kubelets=(text,))
    with pytest.raises(ValueError, match="HOST:PORT"):
        CanaryConfig(dns=text)
