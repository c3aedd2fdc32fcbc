"""PagerDuty Events API v2: one PagerDuty alert per group, triggered, updated and resolved under
the same dedup_key."""

from hashlib import blake2b

from alerts.notify import Message
from alerts.receivers.port import Http, checked_url
from alerts.receivers.text import Texts, cut, lead, lines, moment, runbook, title, worst

_SUMMARY_BYTES = 1_024
_SEVERITIES = {"critical": "critical", "warning": "warning"}


class PagerDuty:
    def __init__(self, url: str, routing_key: str, http: Http, *, texts: Texts) -> None:
        self._url = checked_url(url, "pagerduty url")
        self._key = routing_key
        self._http = http
        self._texts = texts

    def send(self, message: Message) -> None:
        first = lead(message)
        group = f"{first.labels.get('cluster', '')}/{message.group}"
        document: dict[str, object] = {
            "routing_key": self._key,
            "event_action": "trigger" if message.firing else "resolve",
            "dedup_key": f"kubeledger-{blake2b(group.encode(), digest_size=12).hexdigest()}",
        }
        if message.firing:
            document["payload"] = {
                "summary": cut(title(message, self._texts), _SUMMARY_BYTES),
                "source": first.entity,
                "severity": _SEVERITIES.get(worst(message), "info"),
                "timestamp": moment(first.starts_at),
                "component": first.entity,
                "group": message.group,
                "class": first.cause or first.rule,
                "custom_details": {"text": lines(message, self._texts), "labels": first.labels},
            }
            page = runbook(first.rule, self._texts)
            document["links"] = [{"href": page, "text": "runbook"}] if page else []
        self._http.post(self._url, document)
