"""GET something of this node's kubelet.

One request, one connection: a kept connection would only be one more thing that can hang or go
stale when certificates rotate, and requests that run beside each other must not wait for each
other. Safe to use from several threads. ssl and http.client are imported by the first request, so
that an agent without a kubelet does not carry them.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from collectors.kubelet.refusal import missing_rule
from pipeline.base.clock import Clock
from pipeline.base.errors import Unavailable
from pipeline.base.telemetry import Telemetry
from pipeline.contract import state

if TYPE_CHECKING:
    import ssl

    from collectors.kubelet.config import KubeletConfig
    from collectors.kubelet.exchange import Reply, Target


class KubeletFailure(Unavailable):
    """The kubelet did not give what it was asked for. `reason` is short and countable,
    `outcome` is the one of pipeline/contract/state.py."""

    def __init__(self, reason: str, message: str, outcome: str = state.UNREACHABLE) -> None:
        super().__init__(message)
        self.reason = reason
        self.outcome = outcome


class KubeletClient:
    """Holds nothing open between two requests; keeps the TLS settings, which take 20 ms to make
    from a system's CAs, until the CA file changes."""

    def __init__(self, config: "KubeletConfig", clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._made: tuple[object, ssl.SSLContext] | None = None

    def get(self, path: str, *, deadline_s: float, accept: str = "*/*") -> "Reply":
        """Any answer, whatever its status. Raises KubeletFailure, never anything else."""
        headers = {"Accept": accept, "User-Agent": "kubeledger"}
        token = self._token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        parts = urlsplit(self._config.url)
        return self._ask(parts.path.rstrip("/") + path, headers, deadline_s, url=self._config.url)

    def get_plain(self, url: str, *, deadline_s: float) -> "Reply":
        """The same of an endpoint that takes no token, such as the health port. Nothing secret
        is sent, so clear text is fine."""
        path = url[len("http://") :].partition("/")[2]
        return self._ask(f"/{path}", {"User-Agent": "kubeledger"}, deadline_s, url=url)

    def wanted(self, path: str, *, deadline_s: float, accept: str = "*/*") -> bytes:
        """The body of a 200. Raises KubeletFailure for any other answer as well."""
        reply = self.get(path, deadline_s=deadline_s, accept=accept)
        if reply.status != 200:
            raise self.refused(path, reply)
        return reply.body

    def refused(self, path: str, reply: "Reply") -> KubeletFailure:
        """What an answer with another status than 200 means."""
        text = reply.body[:500].decode("utf-8", "replace")
        said = " ".join(text.split())[:300]
        if reply.status == 401:
            return KubeletFailure("unauthorized", unauthorized(self._config), state.FORBIDDEN)
        if reply.status == 403:
            return KubeletFailure("forbidden", missing_rule(path, text), state.FORBIDDEN)
        return KubeletFailure("status", f"{path} answered {reply.status}: {said}", state.STATUS)

    def _ask(self, path: str, headers: dict[str, str], deadline_s: float, *, url: str) -> "Reply":
        from collectors.kubelet import exchange

        deadline = exchange.Deadline(self._clock, deadline_s)
        try:
            return exchange.get(
                self._target(url),
                path,
                headers=headers,
                deadline=deadline,
                max_bytes=self._config.max_body_bytes,
            )
        except (OSError, exchange.TooLong, exchange.Broken) as error:
            raise _failure(error, url, path, deadline_s) from error

    def _target(self, url: str) -> "Target":
        from collectors.kubelet.exchange import Target

        parts = urlsplit(url)
        if parts.scheme == "http":
            return Target(parts.hostname or "", parts.port or 80)
        return Target(
            parts.hostname or "", parts.port or 10250, self._context(), self._config.server_name
        )

    def _token(self) -> str:
        path = self._config.token_file
        if path is None:
            return ""
        try:
            return path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise KubeletFailure(
                "token", f"cannot read the token file {path}: {error}", state.FORBIDDEN
            ) from error

    def _context(self) -> "ssl.SSLContext":
        version = _version(self._config.ca_file)
        if self._made is None or self._made[0] != version:
            self._made = version, self._new_context()
        return self._made[1]

    def _new_context(self) -> "ssl.SSLContext":
        import ssl

        from pipeline.base.tls import client_tls

        config = self._config
        if config.insecure_skip_verify:  # said once by the agent, not by each request
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        try:
            return client_tls(config.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise KubeletFailure(
                "ca-file", f"cannot use the CA file {config.ca_file}: {error}", state.CERTIFICATE
            ) from error


def open_kubelet(
    config: "KubeletConfig", *, telemetry: Telemetry, clock: Clock
) -> KubeletClient | None:
    """As configured; None without a URL."""
    if not config.url:
        return None
    if config.insecure_skip_verify:
        telemetry.event(
            "kubelet-not-verified",
            level="warn",
            why="kubelet.insecure_skip_verify is set: whoever answers gets the token",
        )
    return KubeletClient(config, clock)


def unauthorized(config: "KubeletConfig") -> str:
    return (
        f"401: the kubelet does not accept the token of {config.token_file}; is it current, and "
        "has the kubelet authentication.webhook.enabled?"
    )


def _version(path: Path | None) -> object:
    """Changes when the file does."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _failure(error: Exception, url: str, path: str, deadline_s: float) -> KubeletFailure:
    import ssl

    from collectors.kubelet.exchange import Broken, TooLong

    if isinstance(error, TimeoutError):
        text = f"{url} did not answer {path} in {deadline_s:g} s"
        return KubeletFailure("timeout", text, state.TIMEOUT)
    if isinstance(error, TooLong):
        text = f"{path} is {error}; raise kubelet.max_body_bytes if the node has that many pods"
        return KubeletFailure("too-large", text, state.UNREADABLE)
    if isinstance(error, Broken):
        return KubeletFailure("broken", f"{url}{path}: {error}", state.UNREADABLE)
    if isinstance(error, ConnectionRefusedError):
        return KubeletFailure("refused", f"nothing listens at {url}", state.REFUSED)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        text = (
            f"the certificate of {url} is not accepted: {error}. Set kubelet.ca_file to the CA "
            "that signed it, or kubelet.server_name to the name in it"
        )
        return KubeletFailure("certificate", text, state.CERTIFICATE)
    return KubeletFailure("unreachable", f"cannot connect to {url}: {error}")
