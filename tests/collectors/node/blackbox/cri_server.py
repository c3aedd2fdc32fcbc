"""A container runtime for tests: a real gRPC server on a unix socket, whose calls can be told to
hang, to fail or to talk nonsense. `messages` writes what it says."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from collectors.node.blackbox import wire


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field_number: int, value: int) -> bytes:
    return varint(field_number << 3) + varint(value & (1 << 64) - 1)


def nested(field_number: int, data: bytes) -> bytes:
    return varint(field_number << 3 | 2) + varint(len(data)) + data


@dataclass(frozen=True)
class Pod:
    """With one container, named app."""

    name: str
    namespace: str = "shop"
    ready: bool = True
    created: int = 1_000
    state: int = 1  # of the container: running

    @property
    def id(self) -> str:
        return f"{self.name}-sandbox"

    @property
    def container(self) -> str:
        return f"{self.name}-app"

    def sandbox(self) -> bytes:
        metadata = wire.string(1, self.name) + wire.string(2, f"uid-{self.name}")
        metadata += wire.string(3, self.namespace) + number(4, 0)
        return (
            wire.string(1, self.id)
            + nested(2, metadata)
            + number(3, 0 if self.ready else 1)
            + number(4, self.created)
            + nested(5, wire.string(1, "a") + wire.string(2, "label"))
        )

    def inside(self) -> bytes:
        return (
            wire.string(1, self.container)
            + wire.string(2, self.id)
            + nested(3, wire.string(1, "app"))
            + number(6, self.state)
            + number(7, self.created)
        )


@dataclass
class Runtime:
    """`hangs` and `fails` hold names of calls, or `CALL ID` for one pod or container. A call that
    hangs ends after `hang_s` as who asked would end it: so the deadlines of those who ask may be
    long, and what does not hang is not late on a slow machine."""

    pods: list[Pod] = field(default_factory=lambda: [Pod("a"), Pod("b", created=2000), Pod("c")])
    hangs: set[str] = field(default_factory=set)
    fails: dict[str, grpc.StatusCode] = field(default_factory=dict)
    says: dict[str, bytes] = field(default_factory=dict)
    service: str = "runtime.v1.RuntimeService"
    asked: list[str] = field(default_factory=list)
    hang_s: float = 0.4
    gate: threading.Event = field(default_factory=threading.Event)

    def answer(self, name: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        target = wire.text(wire.fields(request), 1)
        keys = {name, f"{name} {target}"}
        self.asked.append(f"{name} {target}".strip())
        if keys & self.hangs:
            self.gate.wait(self.hang_s)
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        for key in keys & self.fails.keys():
            context.abort(self.fails[key], f"{key} is told to fail")
        return self.says[name] if name in self.says else self.body(name)

    def body(self, name: str) -> bytes:
        if name == "Version":
            return wire.string(1, "0.1.0") + wire.string(2, "fakerd") + wire.string(3, "9.9")
        if name == "Status":
            ready = wire.string(1, "RuntimeReady") + number(2, 1)
            network = wire.string(1, "NetworkReady") + wire.string(3, "NetworkPluginNotReady")
            return nested(1, nested(1, ready) + nested(1, network + wire.string(4, "no cni")))
        if name == "ListPodSandbox":
            return b"".join(nested(1, pod.sandbox()) for pod in self.pods)
        if name == "ListContainers":
            return b"".join(nested(1, pod.inside()) for pod in self.pods)
        return b""


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        _, service, name = details.method.split("/")
        if service != self._runtime.service:
            return None  # UNIMPLEMENTED

        def behave(request: bytes, context: grpc.ServicerContext) -> bytes:
            return self._runtime.answer(name, request, context)

        return grpc.unary_unary_rpc_method_handler(behave)


@contextmanager
def serving(path: Path, runtime: Runtime) -> Iterator[Runtime]:
    server = grpc.server(ThreadPoolExecutor(40), handlers=[_Handlers(runtime)])
    server.add_insecure_port(f"unix:{path}")
    server.start()
    try:
        yield runtime
    finally:
        runtime.gate.set()
        server.stop(0).wait()
