"""The scheduler's FitError: why no node takes a pod. Pure functions.

`0/5 nodes are available: <prefilter>. <n> <reason>, <n> <reason>. preemption: …`
(k/k pkg/scheduler/framework/types.go). Each node is tried by one filter after the other and gives
the reasons of the first that refuses it. So the reason of the LAST filter that refused any node is
what stands between the pod and the nodes that fit best: with "3 untolerated taint, 1 Insufficient
cpu" the one node that it may use is full, and the taints are as they should be.
"""

import re

# In the order of the default filters (k/k pkg/scheduler/apis/config/v1/default_plugins.go).
FAMILIES = {
    "cordoned": r"were unschedulable",
    "taint": r"\btaints?\b",
    "affinity": r"node affinity|node selector|requested node name|node\(s\) didn't match Pod",
    "ports": r"free ports",
    "capacity": r"Insufficient |Too many pods|no available disk",
    "volume": r"[Vv]olume|persistentvolumeclaim",
    "spread": r"topology spread",
    "pod-affinity": r"pod (anti-)?affinity rules|pods anti-affinity",
}
NO_NODES = "no-nodes"
_PATTERNS = {family: re.compile(pattern) for family, pattern in FAMILIES.items()}
_FIT = re.compile(r"^0/\d+ nodes are available: (.*?)(?: preemption: .*)?$", re.DOTALL)
_PART = re.compile(r"(\d+) (.+)$", re.DOTALL)
_NONE = re.compile(r"^no nodes available to schedule pods|^0/0 nodes")


def fit_reasons(message: str) -> list[tuple[int, str]]:
    """(nodes, reason); the counts add up to at least the number of nodes, since one node may give
    several reasons. A reason without a number is of the pod itself: 0 nodes."""
    found = _FIT.match(message)
    if not found:
        return []
    head = found.group(1).strip().rstrip(".")
    reasons = []
    for part in re.split(r"[,.] (?=\d+ )", head):
        text = part.strip().split(". no new claims")[0]
        numbered = _PART.match(text)
        reasons.append((int(numbered.group(1)), numbered.group(2)) if numbered else (0, text))
    return reasons


def family(reason: str) -> str:
    """Of one reason; "" if it is none that is known."""
    if _PATTERNS["volume"].search(reason):
        return "volume"
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(reason)), "")


def binding_family(message: str) -> str:
    """The family of the last filter that refused a node."""
    if _NONE.match(message):
        return NO_NODES
    found = {family(reason) for _, reason in fit_reasons(message)}
    return next((name for name in reversed(FAMILIES) if name in found), "")


def all_cordoned(message: str) -> bool:
    """Somebody closed every node that there is: no fault."""
    reasons = fit_reasons(message)
    return bool(reasons) and all(family(reason) == "cordoned" for _, reason in reasons)
