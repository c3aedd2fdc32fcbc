"""Slack incoming webhook, and whatever speaks its form (Mattermost, Rocket.Chat)."""

from alerts.notify import Message
from alerts.receivers.port import Http, checked_url
from alerts.receivers.text import Texts, cut, lines, title, worst

_COLOURS = {"critical": "#c4281c", "warning": "#d98e04", "info": "#3a76c4", "none": "#7a7a7a"}
_RESOLVED = "#2e8540"
_TEXT_BYTES = 8_000


class Slack:
    def __init__(self, url: str, http: Http, *, texts: Texts) -> None:
        self._url = checked_url(url, "the Slack webhook")
        self._http = http
        self._texts = texts

    def send(self, message: Message) -> None:
        text = "\n".join(_escaped(line) for line in lines(message, self._texts, bold="*"))
        head = _escaped(title(message, self._texts))
        colour = _COLOURS.get(worst(message), "#7a7a7a") if message.firing else _RESOLVED
        attachment = {
            "color": colour,
            "text": cut(text, _TEXT_BYTES),
            "fallback": head,
            "mrkdwn_in": ["text"],
        }
        self._http.post(self._url, {"text": head, "attachments": [attachment]})


def _escaped(text: str) -> str:
    """Slack's own three characters; a line of a log must not mention a channel."""
    quote = text.startswith("> ")
    body = text[2:] if quote else text
    body = body.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"> {body}" if quote else body
