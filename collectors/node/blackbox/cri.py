"""A container runtime's socket, through grpcio. The door to it: imported in the black box's own
process only, where its 28 MB do not stay."""

import time

import grpc

from collectors.node.blackbox.messages import VERSION, Result
from pipeline.contract import state

_SERVICES = ("runtime.v1.RuntimeService", "runtime.v1alpha2.RuntimeService")
_MAX_ANSWER = 16 << 20  # as the kubelet: k8s.io/cri-client pkg/remote_runtime.go maxMsgSize
UNIMPLEMENTED = "UNIMPLEMENTED"
_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_ANSWER),
    ("grpc.enable_http_proxy", 0),
    ("grpc.default_authority", "localhost"),  # a path is none that every server accepts
    ("grpc.enable_retries", 0),
)
# NOT_FOUND is an answer: the pod has gone since it was listed.
_OUTCOMES = {
    grpc.StatusCode.NOT_FOUND: state.OK,
    grpc.StatusCode.DEADLINE_EXCEEDED: state.TIMEOUT,
    grpc.StatusCode.UNAVAILABLE: state.UNREACHABLE,
    grpc.StatusCode.PERMISSION_DENIED: state.FORBIDDEN,
    grpc.StatusCode.RESOURCE_EXHAUSTED: state.UNREADABLE,
}


class Cri:
    """Used by several threads. Falls back to v1alpha2 where v1 is not known (containerd < 1.6)."""

    def __init__(self, path: str) -> None:
        self._channel = grpc.insecure_channel(f"unix:{path}", options=_OPTIONS)
        self._service = _SERVICES[0]

    @property
    def service(self) -> str:
        return self._service

    def call(self, name: str, request: bytes, deadline_s: float) -> Result:
        """Comes back within the deadline, whatever happens."""
        result = self._call(name, request, deadline_s)
        if result.code == UNIMPLEMENTED and name == VERSION and self._service == _SERVICES[0]:
            self._service = _SERVICES[1]
            result = self._call(name, request, deadline_s)
        return result

    def close(self) -> None:
        self._channel.close()

    def _call(self, name: str, request: bytes, deadline_s: float) -> Result:
        began = time.monotonic()
        method = self._channel.unary_unary(f"/{self._service}/{name}")  # bytes in, bytes out
        try:
            body = method(request, timeout=deadline_s)
        except grpc.RpcError as error:
            code = error.code()
            outcome = _OUTCOMES.get(code, state.STATUS)
            return Result(outcome, _ms(began), b"", code.name, str(error.details())[:300])
        return Result(state.OK, _ms(began), body)


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
