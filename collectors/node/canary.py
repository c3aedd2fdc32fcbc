"""Path canary: timed TCP connects from this node, so that a broken direction can be named.

Targets are the API server, a DNS server, a metadata address, the kubelet ports of two other nodes
and a pod on another node. Which of many is chosen by this node's name (rendezvous hashing), so the
same ones are tried each time and a cluster's nodes spread over each other. All connects run at the
same time on one thread, each with the same deadline; nothing is sent. A name that does not resolve
in time is tried at the addresses it had before, since a DNS that is down must not hide the rest.
"""

import hashlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.node.aside import Aside, Late
from collectors.node.dial import Place, connect
from collectors.node.ports import Answer, Request
from pipeline.base.clock import Clock
from pipeline.contract import state

if TYPE_CHECKING:
    from collectors.node.config import CanaryConfig

_KUBELETS, _PODS = 2, 1  # how many of those given are tried
_DNS_PORT = 53
_ONE = ("apiserver", "dns", "metadata")  # kinds of which there is one


@dataclass(frozen=True, slots=True)
class _Wanted:
    kind: str  # apiserver, dns, metadata, kubelet, pod
    name: str  # of the node or pod, if given
    host: str
    port: int


class Canary:
    """A worker for lanes. Remembers the addresses that names had."""

    def __init__(
        self,
        config: "CanaryConfig",
        *,
        node: str,
        environment: Mapping[str, str],
        clock: Clock,
        resolv_conf: Path = Path("/etc/resolv.conf"),
    ) -> None:
        self._config = config
        self._node = node
        self._environment = environment
        self._clock = clock
        self._resolv_conf = resolv_conf
        self._known: dict[str, list[str]] = {}
        self._asides: dict[str, Aside[list[str]]] = {}

    def __call__(self, request: Request) -> Answer:
        began = self._clock.monotonic()
        wanted = self._wanted()
        missing = self._resolve({w.host for w in wanted})
        results = [self._unresolved(w, missing[w.host]) for w in wanted if w.host in missing]
        results += connect(self._places(wanted), self._config.deadline_s, self._clock)
        ms = round((self._clock.monotonic() - began) * 1000)
        return Answer(request, state.OK, ms, values={"targets": results})

    def _wanted(self) -> list[_Wanted]:
        config, env = self._config, self._environment
        host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT")
        apiserver = config.apiserver or (f"{host}:{port}" if host and port else "")
        dns = config.dns or _nameserver(self._resolv_conf)
        single = {"apiserver": apiserver, "dns": dns, "metadata": config.metadata}
        given = [(kind, text) for kind, text in single.items() if text]
        given += [("kubelet", text) for text in config.kubelets]
        given += [("pod", text) for text in config.pods]
        return [_read(kind, text) for kind, text in given]

    # -- names ---------------------------------------------------------------------------------

    def _resolve(self, hosts: set[str]) -> dict[str, tuple[str, str]]:
        """Bring the known addresses up to date; hosts without any, and why."""
        for host in hosts:
            if _literal(host):
                self._known[host] = [host.strip("[]")]
        names = sorted(host for host in hosts if not _literal(host))
        for host in names:
            aside = self._asides.get(host)
            if aside is None:
                aside = self._asides[host] = Aside(partial(_look_up, host), name=f"name {host}")
            aside.begin()
        until = self._clock.monotonic() + self._config.deadline_s
        missing = {}
        for host in names:
            try:
                found = self._asides[host].take(until - self._clock.monotonic())
                self._known[host] = found
            except Late as error:
                missing[host] = state.TIMEOUT, str(error)
            except OSError as error:
                missing[host] = state.UNREACHABLE, str(error)
        return {host: why for host, why in missing.items() if not self._known.get(host)}

    def _unresolved(self, wanted: _Wanted, why: tuple[str, str]) -> dict[str, Any]:
        name = wanted.kind if wanted.kind in _ONE else f"{wanted.kind}:{wanted.name or wanted.host}"
        outcome, detail = why
        address = f"{wanted.host}:{wanted.port}"
        return {"name": name, "address": address, "outcome": outcome, "ms": 0, "detail": detail}

    # -- choice --------------------------------------------------------------------------------

    def _places(self, wanted: list[_Wanted]) -> list[Place]:
        places = []
        for kind, most in (*((kind, 1) for kind in _ONE), ("kubelet", _KUBELETS), ("pod", _PODS)):
            found = [
                Place(kind if kind in _ONE else f"{kind}:{w.name or ip}", ip, w.port)
                for w in wanted
                if w.kind == kind and w.name != self._node
                for ip in self._known.get(w.host, [])
            ]
            if kind not in _ONE:
                found = [place for place in found if not _is_ours(place.ip)] or found
                found.sort(key=self._rank)
            places += found[:most]
        return places

    def _rank(self, place: Place) -> bytes:
        text = f"{self._node} {place.ip} {place.port}"
        return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _read(kind: str, text: str) -> _Wanted:
    """HOST:PORT or NAME=HOST:PORT, as the settings checked it."""
    name, _, address = text.rpartition("=")
    host, _, port = address.rpartition(":")
    return _Wanted(kind, name, host, int(port))


def _literal(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.strip("[]"))
        except OSError:
            continue
        return True
    return False


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return sorted({str(address[0]) for *_, address in found})


def _is_ours(ip: str) -> bool:
    """An address of this machine can be bound to."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as trial:
            trial.bind((ip, 0))
    except OSError:
        return False
    return True


def _nameserver(resolv_conf: Path) -> str:
    """resolv.conf(5)."""
    try:
        lines = resolv_conf.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            host = f"[{words[1]}]" if ":" in words[1] else words[1]
            return f"{host}:{_DNS_PORT}"
    return ""
