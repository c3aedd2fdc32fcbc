"""What a receiver is, and the way out by HTTP.

Errors are those of pipeline.base.errors: Unavailable (try again later), Rejected (this message, or
this address, will never be taken). An address may be a secret (chat webhooks), so errors name its
host alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import orjson
import urllib3

from alerts.notify import Message
from pipeline.base.errors import Rejected, Unavailable, UsageError
from pipeline.base.tls import client_tls

_AGAIN = {408, 425, 429}
_SHOWN = 200


class Receiver(Protocol):
    """Used by one thread."""

    def send(self, message: Message) -> None:
        """Deliver, or raise Unavailable or Rejected."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Mapping[str, object]:
        try:
            document = orjson.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}


class Http:
    """The door to urllib3: certificates are verified, redirects are not followed (a body that
    was signed for one place is not for another)."""

    def __init__(self, *, timeout_s: float = 10.0, ca_file: Path | None = None) -> None:
        if ca_file is not None and not ca_file.is_file():
            raise UsageError(f"{ca_file}: no such CA file")
        try:
            context = client_tls(ca_file)
        except OSError as error:
            raise UsageError(f"{ca_file}: {error}") from error
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=timeout_s),
            retries=False,
            ssl_context=context,
        )

    def post(self, url: str, document: object, headers: Mapping[str, str] | None = None) -> Answer:
        """A JSON document. 2xx is an answer, everything else an error."""
        return self.send(url, orjson.dumps(document), headers)

    def send(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        host = urlsplit(url).netloc.rpartition("@")[2]
        given = {"Content-Type": "application/json", "User-Agent": "kubeledger"}
        try:
            found = self._pool.request(
                "POST", url, body=body, headers=given | dict(headers or {}), redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            # the library's own text has the whole address in it
            raise Unavailable(f"{host} does not answer: {type(error).__name__}") from None
        if 200 <= found.status < 300:
            return Answer(found.status, found.data)
        text = found.data[:_SHOWN].decode("utf-8", "replace").strip()
        said = f"{host} answered {found.status}: {text}"
        raise (Unavailable if found.status in _AGAIN or found.status >= 500 else Rejected)(said)


def checked_url(url: str, what: str) -> str:
    """Raises UsageError, which does not show the address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"{what} is no http:// or https:// address")
    return url
