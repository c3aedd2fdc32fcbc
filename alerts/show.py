"""A backtest, for people and for programs."""

import json
from collections.abc import Mapping
from typing import Any, TextIO

from alerts.backtest import Backtest
from alerts.receivers.text import moment


def as_document(result: Backtest) -> dict[str, Any]:
    return {
        "alerts": result.alerts,
        "inhibited": result.inhibited,
        "notifications": result.notifications,
    }


def write_json(document: Mapping[str, Any], out: TextIO) -> None:
    out.write(json.dumps(document) + "\n")


def print_backtest(result: Backtest, out: TextIO) -> None:
    """Alerts in order of their beginning, each with its cause."""
    for alert in result.alerts:
        out.write(f"{_harmless(line(alert))}\n")
        if alert["cause"]:
            because = f", because {alert['because']}" if alert["because"] else ""
            out.write(_harmless(f"  cause {alert['cause']}{because}") + "\n")
        out.write(_harmless(f"  {alert['summary']}") + "\n")
    told, held = len(result.notifications), len(result.inhibited)
    out.write(
        f"{len(result.alerts)} alerts, {held} more held back under an incident, "
        f"{told} notifications\n"
    )


def line(alert: Mapping[str, Any]) -> str:
    labels = ", ".join(f"{k}={v}" for k, v in sorted(alert["labels"].items()) if k != "cluster")
    ends = f"to {moment(alert['ends_at'])}" if alert["ends_at"] else "still firing"
    return (
        f"{moment(alert['starts_at'])} {alert['severity']:<8} {alert['rule']} {{{labels}}} {ends}"
    )


def _harmless(text: str) -> str:
    """A terminal gets no control characters out of a log line."""
    return "".join(c if c.isprintable() else " " for c in text)
