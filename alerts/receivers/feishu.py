"""Feishu (Lark) custom bot: a card. With a secret the body carries a signature: HMAC-SHA256 keyed
by `timestamp\\nsecret` over nothing, base64 (Feishu, custom bot guide). `code` decides."""

import base64
import hashlib
import hmac
from collections.abc import Callable

from alerts.notify import Message
from alerts.receivers.dingtalk import check_code
from alerts.receivers.port import Http, checked_url
from alerts.receivers.text import Texts, cut, lines, title, worst

_COLOURS = {"critical": "red", "warning": "orange", "info": "blue"}
_TEXT_BYTES = 18_000
_AGAIN = {9499, 11232}  # too many requests; frequency limited


class Feishu:
    def __init__(
        self, url: str, http: Http, *, texts: Texts, secret: str, now_ms: Callable[[], int]
    ) -> None:
        self._url = checked_url(url, "the Feishu webhook")
        self._http = http
        self._texts = texts
        self._secret = secret
        self._now_ms = now_ms

    def send(self, message: Message) -> None:
        colour = _COLOURS.get(worst(message), "grey") if message.firing else "green"
        text = cut("\n".join(lines(message, self._texts, bold="**")), _TEXT_BYTES)
        head = {"tag": "plain_text", "content": cut(title(message, self._texts), 500)}
        card = {
            "header": {"template": colour, "title": head},
            "elements": [{"tag": "markdown", "content": text}],
        }
        document = {"msg_type": "interactive", "card": card} | self._signature()
        answer = self._http.post(self._url, document).json()
        check_code(answer.get("code", answer.get("StatusCode")), answer.get("msg"), "Feishu",
                   _AGAIN)  # fmt: skip

    def _signature(self) -> dict[str, str]:
        if not self._secret:
            return {}
        timestamp = str(self._now_ms() // 1000)
        key = f"{timestamp}\n{self._secret}".encode()
        sign = base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
        return {"timestamp": timestamp, "sign": sign}
