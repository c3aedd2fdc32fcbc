"""The timeline of a pod as people read it: T0 to T10, how sure each is, and its record."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.console.output import harmless
from pipeline.console.scalings import seconds
from pipeline.contract.tables import SCALE_SEGMENTS, SCALE_TIMES

_STEPS = {
    "decided": "T0 decided",
    "created": "T1 created",
    "unschedulable": "T2 unschedulable",
    "autoscaler": "T3 autoscaler reacted",
    "node_created": "T4 node created",
    "node_ready": "T5 node Ready",
    "scheduled": "T6 scheduled",
    "sandbox": "T7 sandbox, network",
    "initialized": "T8 init done",
    "pulled": "   images there",
    "started": "T9 started",
    "ready": "T10 Ready",
}

Body = Mapping[str, Any]


def timeline_lines(pod: Body, start: int) -> Sequence[str]:
    """Times are counted from `start`, Unix ms."""
    where = f" on {pod['node']}" if pod["node"] else ""
    lines = [harmless(f"{pod['namespace']}/{pod['name']}{where}: {pod['status']}")]
    for step in SCALE_TIMES:
        told = pod["times"][step]
        if told is None:
            lines.append(f"  {_STEPS[step]:22} {'unknown':>10}")
            continue
        after = f"{(told['t'] - start) / 1000:+.3f} s"
        source = f"{told['source']['what']}, record {told['source']['offset']}"
        clock = ", the node's clock" if told["clock"] == "node" else ""
        ahead = f", which is {told['ahead_ms']} ms ahead" if told.get("ahead_ms") else ""
        sure = f"(-{told['uncertainty_ms']} ms)"
        lines.append(harmless(f"  {_STEPS[step]:22} {after:>10} {sure:12} {source}{clock}{ahead}"))
    total = f"total {seconds(pod['total_ms'])}, longest {pod['longest'] or 'unknown'}"
    if pod.get("waits_in"):
        total = f"waits in {pod['waits_in']}"
    return [*lines, f"  {total}; {in_words(pod['segments'])}"]


def in_words(segments: Body) -> str:
    known = [(name, segments[name]) for name in SCALE_SEGMENTS if segments[name] is not None]
    return ", ".join(f"{name} {seconds(ms)}" for name, ms in known) or "nothing is known"
