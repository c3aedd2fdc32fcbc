"""The API server over HTTPS: the one door to the Kubernetes client.

Of that client only its configuration is used (kubeconfig with its exec plugins, client
certificates, proxies; the service account of a pod, whose token changes) and its connection pool.
Answers stay bytes. No retries here: who asks decides. Safe to use from several threads.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from urllib3 import exceptions as trouble

from collectors.cluster.ports import Params
from pipeline.base.clock import Clock
from pipeline.base.errors import Unavailable, UsageError
from pipeline.base.tls import client_tls
from pipeline.contract import state

CONNECT_S = 5.0
PIECE = 1 << 16
REMAKE_S = 10.0  # after a 401 the configuration is read again, but not more often
Connect = Callable[[], kubernetes_client.ApiClient]


class ApiFailure(Unavailable):
    """No (whole) answer. `outcome` is one of pipeline.contract.state.OUTCOMES."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    retry_after_s: float | None = None


@dataclass(slots=True)
class Answer:
    """An open answer. `pieces` is for the thread that asked, `shut` for any other."""

    status: int
    retry_after_s: float | None
    _response: urllib3.BaseHTTPResponse
    _deadline: Callable[[], None] = field(default=lambda: None)

    def pieces(self) -> Iterator[bytes]:
        """Bytes as they come. Raises ApiFailure when the answer breaks off."""
        try:
            for piece in self._response.stream(PIECE):
                self._deadline()
                yield piece
        except (trouble.HTTPError, OSError) as error:
            raise failure(error) from error

    def read(self, most: int = 1 << 20) -> bytes:
        body = bytearray()
        for piece in self.pieces():
            body += piece
            if len(body) > most:
                break
        return bytes(body)

    def shut(self) -> None:
        """Make `pieces` end soon."""
        with suppress(ValueError, RuntimeError, OSError):  # over already
            self._response.shutdown()


class ApiServer:
    """`connect` makes a configured client; it is called when something is first asked, and again
    when the server no longer accepts what it says."""

    def __init__(self, connect: Connect, clock: Clock) -> None:
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._client: kubernetes_client.ApiClient | None = None
        self._made = float("-inf")

    def call(
        self, method: str, path: str, *, body: bytes | None = None, deadline_s: float
    ) -> Reply:
        """One small question. Raises ApiFailure."""
        with self.open(path, method=method, body=body, headers_s=deadline_s, quiet_s=deadline_s,
                       whole_s=deadline_s) as answer:  # fmt: skip
            return Reply(answer.status, answer.read(), answer.retry_after_s)

    @contextmanager
    def open(
        self,
        path: str,
        params: Params = (),
        *,
        headers_s: float,
        quiet_s: float,
        whole_s: float | None = None,
        method: str = "GET",
        body: bytes | None = None,
    ) -> Iterator[Answer]:
        """The answer is open inside the block. `headers_s` until its headers, `quiet_s` between
        two pieces of it, `whole_s` for all of it. Raises ApiFailure."""
        end = None if whole_s is None else self._clock.monotonic() + whole_s

        def deadline() -> None:
            if end is not None and self._clock.monotonic() > end:
                raise ApiFailure(state.TIMEOUT, f"no whole answer in {whole_s:g} s")

        response = self._send(method, path, params, body, headers_s)
        try:
            if response.status == 401:
                self._forget()
            _silence(response, quiet_s)
            yield Answer(response.status, _retry_after(response), response, deadline)
        finally:
            response.close()  # never back to the pool half read

    def _send(
        self, method: str, path: str, params: Params, body: bytes | None, headers_s: float
    ) -> urllib3.BaseHTTPResponse:
        try:
            client, headers = self._prepared()
            headers |= {"Accept": "application/json", "User-Agent": "kubeledger-watch"}
            if body is not None:
                merge = "merge-patch+" if method == "PATCH" else ""
                headers["Content-Type"] = f"application/{merge}json"
            query = f"?{urlencode(params)}" if params else ""
            return client.rest_client.pool_manager.request(
                method,
                f"{client.configuration.host}{path}{query}",
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_S, read=headers_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (trouble.HTTPError, OSError) as error:
            raise failure(error) from error

    def _prepared(self) -> tuple[kubernetes_client.ApiClient, dict[str, str]]:
        """The client, and the headers that say who asks. A plugin may run, a file be read."""
        with self._lock:
            try:
                if self._client is None:
                    self._client, self._made = self._connect(), self._clock.monotonic()
                settings = self._client.configuration.auth_settings().values()
            except kubernetes_config.ConfigException as error:
                raise ApiFailure(state.FORBIDDEN, f"no credentials: {error}") from error
            return self._client, {
                str(setting["key"]): str(setting["value"])
                for setting in settings
                if setting["in"] == "header" and setting["value"]
            }

    def _forget(self) -> None:
        """Not accepted: read the configuration anew for the next question."""
        with self._lock:
            if self._clock.monotonic() - self._made >= REMAKE_S:
                self._client = None


def connector(kubeconfig: Path | None, context: str, *, connections: int) -> Connect:
    """Without a file: the service account of this pod, else ~/.kube/config as kubectl does."""

    def connect() -> kubernetes_client.ApiClient:
        settings = kubernetes_client.Configuration()
        settings.connection_pool_maxsize = connections
        if kubeconfig is None and in_cluster():
            kubernetes_config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=settings
            )
        else:
            kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(kubeconfig) if kubeconfig else None,
                context=context or None,
                client_configuration=settings,
                persist_config=False,
            )
        client = kubernetes_client.ApiClient(configuration=settings)
        if settings.verify_ssl:
            pools = client.rest_client.pool_manager.connection_pool_kw
            pools["ssl_context"] = client_tls(settings.ssl_ca_cert)
        return client

    return connect


def in_cluster() -> bool:
    return Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()


def checked(connect: Connect) -> kubernetes_client.ApiClient:
    """The first connection: what is wrong with the file is a mistake of whoever wrote it."""
    try:
        return connect()
    except kubernetes_config.ConfigException as error:
        raise UsageError(
            f"no access to a cluster: {error}. Give --kubeconfig FILE (and `context`), or run in a "
            "pod with a service account"
        ) from error
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        # a file that is no YAML, or YAML of another shape, comes out of the client as any of these
        raise UsageError(f"cannot use the kubeconfig: {error}") from error


def failure(error: Exception) -> ApiFailure:
    """What an exception of the connection pool means."""
    text = " ".join(str(error).split())[:300]
    if isinstance(error, ApiFailure):
        return error
    if isinstance(error, (trouble.TimeoutError, TimeoutError)) and not isinstance(
        error, trouble.NewConnectionError
    ):
        return ApiFailure(state.TIMEOUT, text)
    if isinstance(error, trouble.SSLError) and "CERTIFICATE" in text.upper():
        advice = "is its CA in the kubeconfig (certificate-authority)?"
        return ApiFailure(state.CERTIFICATE, f"{text}; {advice}")
    if "refused" in text:
        return ApiFailure(state.REFUSED, text)
    return ApiFailure(state.UNREACHABLE, text)


def _silence(response: urllib3.BaseHTTPResponse, quiet_s: float) -> None:
    """From the headers on another time-out holds: that of the pool is for the headers."""
    connection: Any = response.connection  # urllib3's, on http.client's
    sock = getattr(connection, "sock", None)  # None: the server will close it; then it stays
    if sock is not None:
        sock.settimeout(quiet_s)


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None
