"""Why a cloud did not give a machine: its words -> a few reasons. Pure.

Codes differ by provider; these are the words of Alibaba Cloud ECS, AWS EC2, GCE and Azure as they
stand in cluster-autoscaler's backoffInfo and Events and in Karpenter's conditions.
"""

import re
from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    "out-of-stock": "the cloud has no machine of that kind left",
    "quota": "a quota of the account is reached",
    "permission": "the autoscaler may not do that",
    "balance": "the account does not pay for it",
    "timeout": "the machine was made, and did not become a node in time",
}
_PATTERNS = {
    "timeout": re.compile(r"failed to register within|timed? ?out|RegistrationTimeout", re.I),
    "quota": re.compile(r"quota|LimitExceeded|exceeded.*limit", re.I),
    "out-of-stock": re.compile(
        r"out ?of ?stock|sold out|NoStock|StockExhaust|StockClose|stockout|"
        r"insufficient ?(instance ?)?capacity|RESOURCE_POOL_EXHAUSTED|AllocationFailed|"
        r"SkuNotAvailable",
        re.I,
    ),
    "permission": re.compile(
        r"forbidden|access ?denied|NoPermission|unauthorized|not authorized", re.I
    ),
    "balance": re.compile(r"InsufficientBalance|insufficient balance|account.*arrears", re.I),
}


def reason_of(*words: str) -> str:
    """Of a code and its message; "" if it is none of these."""
    text = " ".join(words)
    return next((name for name in REASONS if _PATTERNS[name].search(text)), "")
