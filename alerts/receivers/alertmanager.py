"""Prometheus Alertmanager, API v2: POST /api/v2/alerts. Of a cluster of them every one is told, as
Prometheus does: they agree among themselves who notifies.

An alert that fires is sent again and again with an end that lies some time ahead, so that an
Alertmanager forgets what nobody speaks of any more.
"""

from alerts.alert import Alert
from alerts.notify import Message
from alerts.receivers.port import Http, checked_url
from alerts.receivers.text import Texts, moment, runbook


class Alertmanager:
    """One of them. `hold_ms`: how long it keeps an alert that is not sent again."""

    def __init__(
        self, url: str, http: Http, *, texts: Texts, hold_ms: int, authorization: str = ""
    ) -> None:
        self._url = checked_url(url, "alertmanager url").rstrip("/") + "/api/v2/alerts"
        self._http = http
        self._texts = texts
        self._hold_ms = hold_ms
        self._headers = {"Authorization": authorization} if authorization else {}

    def send(self, message: Message) -> None:
        alerts = [self._alert(alert, message.at + self._hold_ms) for alert in message.firing]
        alerts += [self._alert(alert, alert.ends_at) for alert in message.resolved]
        self._http.post(self._url, alerts, self._headers)

    def _alert(self, alert: Alert, ends_at: int) -> dict[str, object]:
        annotations = {
            "summary": alert.summary,
            "description": alert.description,
            "cause": alert.cause,
            "because": alert.because,
            "evidence": "\n".join(alert.evidence),
            "affected": ", ".join(alert.affected[:20]),
            "runbook_url": runbook(alert.rule, self._texts),
            "fingerprint": alert.fingerprint,
        }
        return {
            "labels": {k: v for k, v in alert.matched_labels().items() if v},
            "annotations": {k: v for k, v in annotations.items() if v},
            "startsAt": moment(alert.starts_at),
            "endsAt": moment(ends_at),
        }
