"""A drain in words."""

from collections.abc import Mapping
from typing import Any

from pipeline.console.incident_text import moment
from pipeline.elasticity.inventory import CORDON


def drain_lines(drain: Mapping[str, Any] | None) -> list[str]:
    """A version of a drain (pipeline/elasticity/drains.py) for people."""
    if drain is None:
        return ["no drain of this node was recorded"]
    by = "" if drain["by"] == CORDON else f" by {drain['by']}"
    ended = f" {moment(drain['ended_at'])}" if drain["ended_at"] else ""
    lines = [
        f"cordoned {moment(drain['started_at'])}{by}, {len(drain['evicted'])} evicted,"
        f" {drain['status']}{ended}"
    ]
    for stay in drain["blocked"]:
        until = f"until {moment(stay['until'])}" if stay["until"] else "still"
        by = ", ".join(stay["by"]) or "what is not known"
        lines.append(f"{stay['pod']} blocked {until} by {by}")
    return lines
