"""A webhook of one's own: JSON, signed.

Headers: `X-Kubeledger-Timestamp` (Unix seconds), `X-Kubeledger-Signature: sha256=HEX` with HMAC-
SHA256 of `timestamp.body` keyed by the secret, and `Idempotency-Key`: a repetition of the same
message has the same key.
"""

import hashlib
import hmac
from collections.abc import Callable

import orjson

from alerts.alert import document
from alerts.notify import Message
from alerts.receivers.port import Http, checked_url
from alerts.receivers.text import Texts, lines, runbook, title, worst

VERSION = 1


class Webhook:
    def __init__(
        self,
        url: str,
        http: Http,
        *,
        texts: Texts,
        secret: str,
        now_ms: Callable[[], int],
        authorization: str = "",
    ) -> None:
        self._url = checked_url(url, "webhook url")
        self._http = http
        self._texts = texts
        self._secret = secret
        self._now_ms = now_ms
        self._authorization = authorization

    def send(self, message: Message) -> None:
        body = orjson.dumps(self._document(message), option=orjson.OPT_SORT_KEYS)
        timestamp = str(self._now_ms() // 1000)
        headers = {"X-Kubeledger-Timestamp": timestamp, "Idempotency-Key": _key(message)}
        if self._secret:
            signed = timestamp.encode() + b"." + body
            digest = hmac.new(self._secret.encode(), signed, hashlib.sha256).hexdigest()
            headers["X-Kubeledger-Signature"] = f"sha256={digest}"
        if self._authorization:
            headers["Authorization"] = self._authorization
        self._http.send(self._url, body, headers)

    def _document(self, message: Message) -> dict[str, object]:
        return {
            "version": VERSION,
            "group": message.group,
            "status": "firing" if message.firing else "resolved",
            "severity": worst(message),
            "title": title(message, self._texts),
            "text": "\n".join(lines(message, self._texts)),
            "repeated": not message.news,
            "alerts": [
                document(alert) | {"runbook": runbook(alert.rule, self._texts)}
                for alert in (*message.firing, *message.resolved)
            ],
        }


def _key(message: Message) -> str:
    told = [(a.fingerprint, a.status, a.starts_at, a.ends_at, a.cause)
            for a in (*message.firing, *message.resolved)]  # fmt: skip
    text = repr((message.group, told, 0 if message.news else message.at))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
