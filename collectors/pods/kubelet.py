"""GET /pods of this node's kubelet.

One request, one connection: at two requests a minute a kept connection would only be one more
thing that can go stale when certificates rotate. urllib3 and ssl are imported by the first request,
so that an agent without a kubelet does not carry them. Authorisation of the kubelet's own API:
k8s.io/kubernetes pkg/kubelet/server/auth.go and KEP-2862.
"""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.base.clock import Clock
from pipeline.base.errors import Unavailable

if TYPE_CHECKING:
    import ssl

    from urllib3 import BaseHTTPResponse, HTTPSConnectionPool

    from collectors.pods.config import PodsConfig

_PIECE = 1 << 16
_GRANT = (
    "grant the service account `get` on `nodes/pods` (kubelets with KubeletFineGrainedAuthz, on "
    "by default since 1.33) or on `nodes/proxy` (older ones; it also allows exec)"
)


class KubeletFailure(Unavailable):
    """The kubelet did not give its pods. `reason` is short and countable."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Kubelet:
    """A way to ask; holds nothing open between two requests."""

    def __init__(self, config: "PodsConfig", clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def fetch(self) -> str:
        """The text of the PodList. Raises KubeletFailure, never anything else."""
        from urllib3.exceptions import HTTPError

        token = self._token()
        pool = self._pool()
        try:
            return self._get(pool, token)
        except HTTPError as error:
            raise self._failure(error) from error
        finally:
            pool.close()

    def _token(self) -> str:
        path = self._config.token_file
        if path is None:
            return ""
        try:
            return path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise KubeletFailure("token", f"cannot read the token file {path}: {error}") from error

    def _pool(self) -> "HTTPSConnectionPool":
        import urllib3

        config = self._config
        parts = urlsplit(config.kubelet_url)
        context = self._context()
        if config.insecure_skip_verify:  # said once by the source, not by each request
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return urllib3.HTTPSConnectionPool(
            parts.hostname or "",
            parts.port or 10250,
            maxsize=1,
            retries=False,
            timeout=urllib3.Timeout(connect=config.timeout_s, read=config.timeout_s),
            ssl_context=context,
            server_hostname=config.server_name or None,
            assert_hostname=False if config.insecure_skip_verify else None,
        )

    def _context(self) -> "ssl.SSLContext":
        import ssl

        config = self._config
        if config.insecure_skip_verify:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        try:
            return ssl.create_default_context(cafile=config.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise KubeletFailure(
                "ca-file", f"cannot use the CA file {config.ca_file}: {error}"
            ) from error

    def _get(self, pool: "HTTPSConnectionPool", token: str) -> str:
        headers = {"Accept": "application/json", "User-Agent": "kubeledger"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        base = urlsplit(self._config.kubelet_url).path.rstrip("/")
        deadline = self._clock.monotonic() + 2 * self._config.timeout_s
        response = pool.request(
            "GET", f"{base}/pods", headers=headers, preload_content=False, redirect=False
        )
        try:
            body = self._read(response, deadline)
        finally:
            response.close()
        if response.status != 200:
            raise self._refused(response.status, body[:500].decode("utf-8", "replace"))
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise KubeletFailure("not-json", f"/pods is not UTF-8: {error}") from error

    def _read(self, response: "BaseHTTPResponse", deadline: float) -> bytes:
        """The body, bounded in size and, against an answer that trickles, in time."""
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > self._config.max_body_bytes:
                raise KubeletFailure(
                    "too-large",
                    f"/pods is longer than {self._config.max_body_bytes} bytes; "
                    "raise pods.max_body_bytes if the node has that many pods",
                )
            if self._clock.monotonic() > deadline:
                raise KubeletFailure("timeout", "/pods answers too slowly; the kubelet is busy")
        return b"".join(pieces)

    def _refused(self, status: int, body: str) -> KubeletFailure:
        said = " ".join(body.split())[:300]
        if status == 401:
            return KubeletFailure(
                "unauthorized",
                f"401: the kubelet does not accept the token of {self._config.token_file}; is it "
                "current, and has the kubelet authentication.webhook.enabled?",
            )
        if status == 403:
            return KubeletFailure("forbidden", f"403: {_GRANT}. The kubelet says: {said}")
        return KubeletFailure("status", f"/pods answered {status}: {said}")

    def _failure(self, error: Exception) -> KubeletFailure:
        from urllib3 import exceptions

        url = self._config.kubelet_url
        if isinstance(error, exceptions.SSLError):
            return KubeletFailure(
                "certificate",
                f"the certificate of {url} is not accepted: {error}. Set pods.ca_file to the CA "
                "that signed it, or pods.server_name to the name in it",
            )
        if isinstance(error, exceptions.NewConnectionError):
            return KubeletFailure("unreachable", f"cannot connect to {url}: {error}")
        if isinstance(error, exceptions.TimeoutError):
            return KubeletFailure(
                "timeout", f"{url} did not answer in {self._config.timeout_s:g} s"
            )
        return KubeletFailure("broken", f"{url}: {type(error).__name__}: {error}")
