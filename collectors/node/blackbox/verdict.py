"""What the runtime's answers add up to.

    runtime-wide    Version, Status or a list hangs; or no pod at all is answered for
    one-container   lists are answered, the status or statistics of a few are not: they are named
    answers         everything is answered, if only with errors
    no-socket       nothing listens, or what listens does not speak CRI

Rules are of domain: the kubelet's relist needs both lists and then the status of each pod that
changed, k/k pkg/kubelet/pleg/generic.go; one hung status delays it, a hung list stops it.
"""

from collections.abc import Sequence
from typing import Any

from collectors.node.blackbox import messages
from collectors.node.blackbox.messages import Result, Target
from collectors.node.blackbox.probe import FIRST, Findings, hung
from collectors.node.blackbox.sockets import Listener
from pipeline.contract.state import OK, TIMEOUT, UNREACHABLE

RUNTIME_WIDE, ONE_CONTAINER, ANSWERS, NO_SOCKET = (
    "runtime-wide",
    "one-container",
    "answers",
    "no-socket",
)
_MANY_PODS = 3  # as many that hang, and none that answers, are no coincidence
_SLOW_MS = 1000
_LISTED = 100


def conclude(found: Findings) -> tuple[str, str]:
    """Verdict and its reason in words."""
    silent = [name for name in FIRST if found.first[name].outcome == TIMEOUT]
    stuck, pods = hung(found.asked), {(t.namespace, t.pod) for t in hung(found.asked)}
    answered = len(found.asked) - len(stuck)
    count = f"{len(stuck)} of {len(found.asked)} calls about single containers are not answered"
    if silent and not (silent == [messages.CONTAINERS] and stuck and answered):
        return RUNTIME_WIDE, f"no answer: {', '.join(silent)}"
    if stuck and not answered and len(pods) >= _MANY_PODS:
        return RUNTIME_WIDE, f"{count}, of {len(pods)} pods, and none is"
    if stuck:
        return ONE_CONTAINER, count
    if all(result.outcome == UNREACHABLE for result in found.first.values()):
        return NO_SOCKET, f"connections end at once: {found.first[messages.VERSION].detail}"
    errors = [f"{name} {r.code or r.outcome}" for name, r in found.first.items() if r.outcome != OK]
    if errors:
        return ANSWERS, f"answered with errors: {', '.join(errors)}"
    return ANSWERS, f"all {len(FIRST) + len(found.asked)} calls are answered"


def calls(found: Findings) -> list[dict[str, Any]]:
    """The first calls, and all others that were not answered well or at once."""
    said = [_said(name, result) for name, result in found.first.items()]
    odd = [
        _said(target.call, result, target)
        for target, result in found.asked
        if result.outcome != OK or result.ms >= _SLOW_MS
    ]
    return said + odd[:_LISTED]


def counts(found: Findings) -> dict[str, int]:
    """Calls about single pods and containers that were answered well, by name."""
    names = [target.call for target, result in found.asked if result.outcome == OK]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def stuck(asked: Sequence[tuple[Target, Result]]) -> list[dict[str, str]]:
    """Each pod or container once, with the first call that hung."""
    found: dict[str, dict[str, str]] = {}
    for target in hung(asked):
        entry = {
            "namespace": target.namespace,
            "pod": target.pod,
            "container": target.container,
            "id": target.id,
            "uid": target.uid,
            "call": target.call,
        }
        found.setdefault(target.id, entry)
    return list(found.values())[:_LISTED]


def without_runtime(listeners: Sequence[Listener]) -> dict[str, Any]:
    """Part of the body when no socket can be asked. Nobody accepting is a hang, not an absence."""
    tried = [
        {"call": "connect", "target": one.path, "outcome": one.outcome, "ms": one.ms}
        | ({"detail": one.detail} if one.detail else {})
        for one in listeners
    ]
    if any(one.outcome == TIMEOUT for one in listeners):
        return {
            "verdict": RUNTIME_WIDE,
            "reason": "the socket accepts no connections",
            "calls": tried,
        }
    reason = "; ".join(f"{one.path}: {one.outcome}" for one in listeners) or "no socket is there"
    return {"verdict": NO_SOCKET, "reason": reason, "calls": tried}


def _said(name: str, result: Result, target: Target | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"call": name, "outcome": result.outcome, "ms": result.ms}
    if target is not None:
        entry |= {"target": target.id, "namespace": target.namespace, "pod": target.pod}
        if target.container:
            entry["container"] = target.container
    if result.code or result.detail:
        entry["detail"] = f"{result.code} {result.detail}".strip()
    return entry
