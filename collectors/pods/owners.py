"""Who owns a pod, as far as the pod itself says.

The pod names its controller. One more link follows from how Kubernetes names things:
a Deployment's ReplicaSet is `<deployment>-<pod-template-hash>`, and the pod carries that hash as
a label; a CronJob's Job is `<cronjob>-<minutes since 1970>`. Such links are marked as derived.
"""

import re
from collections.abc import Mapping
from typing import Any

from pipeline.contract.record import Owner

TEMPLATE_HASH = "pod-template-hash"
_SCHEDULED = re.compile(r"(.+)-(\d{8,})")
# 2015, before CronJobs existed. A date such as 20261123 at the end of a Job's name is smaller.
_FIRST_MINUTE = 24_000_000


def owners(metadata: Mapping[str, Any], labels: Mapping[str, str]) -> tuple[Owner, ...]:
    """From the pod outwards; empty for a bare pod."""
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            first = Owner(str(reference["kind"]), str(reference["name"]))
            outer = _derived(first, labels)
            return (first, outer) if outer else (first,)
    return ()


def _derived(owner: Owner, labels: Mapping[str, str]) -> Owner | None:
    if owner.kind == "ReplicaSet" and (template := labels.get(TEMPLATE_HASH)):
        name = owner.name.removesuffix("-" + template)
        if name and name != owner.name:
            return Owner("Deployment", name, derived=True)
    if owner.kind == "Job" and (match := _SCHEDULED.fullmatch(owner.name)):
        name, minute = match.groups()
        if int(minute) >= _FIRST_MINUTE:
            return Owner("CronJob", name, derived=True)
    return None
