"""A message as people read it: a title, and what each alert says. Chats and mail share it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from alerts.alert import Alert
from alerts.notify import Message
from alerts.templates import fill

TITLE = "[{status}] {summary}{more}"
PLACES = (
    "status", "severity", "rule", "summary", "entity", "cause", "group", "cluster", "firing",
    "resolved", "more",
)  # fmt: skip
_RANK = {"critical": 0, "warning": 1, "info": 2, "none": 3}
_QUOTE = 300
_MOST = 20  # alerts shown of a group


@dataclass(frozen=True, slots=True)
class Texts:
    """`title` is a template over the fields of `fields`; `runbooks` is where pages are, or
    empty."""

    title: str = TITLE
    runbooks: str = ""


def worst(message: Message) -> str:
    """Severity of the whole: that of its worst alert."""
    alerts = message.firing or message.resolved
    return min((a.severity for a in alerts), key=lambda s: _RANK.get(s, 3), default="info")


def lead(message: Message) -> Alert:
    """The alert that stands for the group."""
    alerts = message.firing or message.resolved
    return min(alerts, key=lambda a: (a.symptom, _RANK.get(a.severity, 3), a.starts_at))


def fields(message: Message) -> Mapping[str, Any]:
    first, others = lead(message), len(message.firing or message.resolved) - 1
    return {
        "status": f"firing {worst(message)}" if message.firing else "resolved",
        "severity": worst(message),
        "rule": first.rule,
        "summary": first.summary,
        "entity": first.entity,
        "cause": first.cause,
        "group": message.group,
        "cluster": first.labels.get("cluster", ""),
        "firing": len(message.firing),
        "resolved": len(message.resolved),
        "more": f" (+{others})" if others else "",
    }


def title(message: Message, texts: Texts) -> str:
    return fill(texts.title, fields(message))


def lines(message: Message, texts: Texts, *, bold: str = "") -> list[str]:
    """Paragraph by paragraph; `bold` is put around names where the far side has markdown."""
    found = []
    alerts = [(alert, "firing") for alert in message.firing]
    alerts += [(alert, "resolved") for alert in message.resolved]
    for alert, status in alerts[:_MOST]:
        since = moment(alert.starts_at if status == "firing" else alert.ends_at)
        found.append(f"{bold}{alert.rule}{bold} {status} since {since} · {alert.summary}")
        if status == "firing":
            found += _why(alert, texts)
    if len(alerts) > _MOST:
        found.append(f"… and {len(alerts) - _MOST} more")
    return found


def _why(alert: Alert, texts: Texts) -> list[str]:
    found = []
    if alert.cause:
        because = f", because {alert.because}" if alert.because else ""
        found.append(f"cause: {alert.cause}{because}")
    found += [f"> {quote[:_QUOTE]}" for quote in alert.evidence[:3]]
    if not alert.evidence and alert.description:
        found.append(alert.description[:_QUOTE])
    if alert.affected:
        more = f" and {len(alert.affected) - 5} more" if len(alert.affected) > 5 else ""
        found.append(f"affected: {', '.join(alert.affected[:5])}{more}")
    if alert.episode:
        found.append(f"kubeledger explain {alert.episode}")
    if texts.runbooks:
        found.append(f"runbook: {runbook(alert.rule, texts)}")
    return found


def runbook(rule: str, texts: Texts) -> str:
    return f"{texts.runbooks.rstrip('/')}/{rule}.md" if texts.runbooks else ""


def moment(ms: int) -> str:
    """RFC 3339 in UTC."""
    when = datetime.fromtimestamp(ms / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def cut(text: str, size: int) -> str:
    """At most so many bytes of UTF-8, whole characters."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= size:
        return raw.decode()
    return raw[: size - 3].decode("utf-8", "ignore") + "…"
