"""DingTalk custom robot. With a secret each request is signed: HMAC-SHA256 over
`timestamp\\nsecret` keyed by the secret, base64, in the query (DingTalk, custom robot security
settings). The answer is 200 even when it says no: `errcode` decides."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import quote_plus

from alerts.notify import Message
from alerts.receivers.port import Http, checked_url
from alerts.receivers.text import Texts, cut, lines, title
from pipeline.base.errors import Rejected, Unavailable

_TEXT_BYTES = 18_000  # of the 20,000 that a message may have
_AGAIN = {-1, 130101, 410100}  # busy; sent too fast


class DingTalk:
    """`now_ms` is the clock that the signature needs."""

    def __init__(
        self, url: str, http: Http, *, texts: Texts, secret: str, now_ms: Callable[[], int]
    ) -> None:
        self._url = checked_url(url, "the DingTalk webhook")
        self._http = http
        self._texts = texts
        self._secret = secret
        self._now_ms = now_ms

    def send(self, message: Message) -> None:
        head = title(message, self._texts)
        text = "\n\n".join([f"### {head}", *lines(message, self._texts, bold="**")])
        document = {
            "msgtype": "markdown",
            "markdown": {"title": cut(head, 200), "text": cut(text, _TEXT_BYTES)},
        }
        answer = self._http.post(self._signed(), document).json()
        check_code(answer.get("errcode"), answer.get("errmsg"), "DingTalk", _AGAIN)

    def _signed(self) -> str:
        if not self._secret:
            return self._url
        timestamp = self._now_ms()
        text = f"{timestamp}\n{self._secret}".encode()
        digest = hmac.new(self._secret.encode(), text, hashlib.sha256).digest()
        joint = "&" if "?" in self._url else "?"
        sign = quote_plus(base64.b64encode(digest))
        return f"{self._url}{joint}timestamp={timestamp}&sign={sign}"


def check_code(code: object, said: object, who: str, again: set[int]) -> None:
    """An answer with a code of its own: 0 is fine."""
    if code == 0:
        return
    text = f"{who} answered {code}: {str(said)[:200]}"
    raise (Unavailable if code in again else Rejected)(text)
