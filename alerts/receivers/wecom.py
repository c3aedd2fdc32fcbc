"""WeCom (WeChat Work) group robot: markdown of at most 4,096 bytes; `errcode` decides."""

from alerts.notify import Message
from alerts.receivers.dingtalk import check_code
from alerts.receivers.port import Http, checked_url
from alerts.receivers.text import Texts, cut, lines, title

_TEXT_BYTES = 4_096
_AGAIN = {-1, 45009, 45033}  # busy; too many calls


class WeCom:
    def __init__(self, url: str, http: Http, *, texts: Texts) -> None:
        self._url = checked_url(url, "the WeCom webhook")
        self._http = http
        self._texts = texts

    def send(self, message: Message) -> None:
        head = title(message, self._texts)
        text = "\n".join([f"**{head}**", *lines(message, self._texts, bold="**")])
        document = {"msgtype": "markdown", "markdown": {"content": cut(text, _TEXT_BYTES)}}
        answer = self._http.post(self._url, document).json()
        check_code(answer.get("errcode"), answer.get("errmsg"), "WeCom", _AGAIN)
