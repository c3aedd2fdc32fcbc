"""Scaling decisions, and who took them.

A decision is seen as a change of the number that a workload should have. Who wanted it is told by
others, sooner or later than that: an autoscaler by its Event or status (a claim), anybody else by
the manager that owns spec.replicas. Claims and decisions find each other when they speak of one
workload, one number and nearly one time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.elasticity.scaling.moment import Moment, tightened

# Who decided.
HPA, CRONHPA, VPA = "hpa", "cronhpa", "vpa"
MANUAL = "manual"  # a person, or a program that is none of the others
DELIVERY = "cd"  # a deployment tool
CREATE = "create"  # the workload came to be
ROLLOUT = "rollout"  # its template changed
NODES = "nodes"  # nodes came or went, and with them pods of a DaemonSet
JOB = "job"
UNKNOWN = "unknown"  # pods came, and what wanted them was not seen

OPEN, DONE, STUCK = "open", "done", "stuck"

NEAR_MS = 15_000  # an HPA looks every 15 s, so two decisions of one HPA are not closer
STUCK_MS = 300_000  # no pod of it made a step for so long
GRACE_MS = 30_000  # what comes later than this after its end is not entered any more
FORGET_MS = 3_600_000  # a decision that is stuck is given up after this

_DELIVERY = ("argocd", "flux", "kustomize-controller", "helm", "terraform", "pulumi", "spinnaker",
             "tekton", "jenkins")  # fmt: skip


@dataclass(slots=True)
class Decision:
    """`due`: pods that it still waits for. `pods` are uids, in the order in which they came."""

    id: str
    controller: str
    workload: str
    by: str
    low: int  # from
    high: int  # to
    at: int  # when it was taken at the latest, Unix ms
    due: int = 0
    who: str = ""
    why: str = ""
    part: str = ""  # of a rollout: the set of pods with the new template
    decided: Moment | None = None
    pods: dict[str, None] = field(default_factory=dict)
    status: str = OPEN
    version: int = 0
    touched: int = 0  # when a pod of it last made a step
    ended: int = 0  # when it was done
    said: int = 0  # when its last version was made
    since: int = 0  # resourceVersion of the change: pods of it are newer
    forgone: int = 0  # pods that it does not wait for since fewer are wanted: they may have come
    until: int = 0  # before this resourceVersion, and be told later

    def expects(self, version: int) -> bool:
        """Can a pod of this resourceVersion (0: not known) be one of those that it waits for?"""
        if version and version < self.since:
            return False
        return self.due > 0 or (self.forgone > 0 and 0 < version < self.until)

    def take(self, version: int) -> None:
        """Such a pod came."""
        if self.forgone and 0 < version < self.until:
            self.forgone -= 1
        elif self.due:
            self.due -= 1

    def forgo(self, most: int, version: int) -> None:
        """It waits for so many at most, by a change of this resourceVersion."""
        if self.due > most:
            self.forgone, self.until = self.forgone + self.due - most, version
            self.due = most


@dataclass(slots=True)
class Claim:
    """Somebody says that he set a workload to `size`."""

    controller: str
    size: int
    by: str
    who: str
    why: str
    moment: Moment


def settles(decision: Decision, claim: Claim) -> bool:
    """Is it this decision that the claim is about? Then the decision gets its author."""
    fits = (
        claim.controller == decision.controller
        and claim.size == decision.high
        and abs(claim.moment.t - decision.at) <= NEAR_MS
        and decision.by in (MANUAL, DELIVERY, UNKNOWN, claim.by)
    )
    if fits:
        decision.by, decision.who = claim.by, claim.who
        decision.why = claim.why or decision.why
        decision.decided = tightened(decision.decided, claim.moment)
        decision.at = decision.decided.t
    return fits


def writer(managers: Iterable[str], scalers: Sequence[str]) -> tuple[str, str]:
    """(by, who) from the owners of spec.replicas and the autoscalers of the workload. A change
    takes the field from whoever had it, so there is one owner, or, by server-side apply, several
    that agree. Where owners are not recorded, a workload with an autoscaler may have been scaled
    by it: its word is waited for."""
    names = list(managers)
    if not names:
        return (UNKNOWN if scalers else MANUAL), ""
    name = names[0] if len(names) == 1 else ""
    if name == "kube-controller-manager":  # nothing in it scales workloads but the HPA
        hpas = [entity for entity in scalers if entity.startswith("hpa/")]
        return HPA, hpas[0] if len(hpas) == 1 else ""
    if "cronhpa" in name:
        return CRONHPA, ""
    by = DELIVERY if name.startswith(_DELIVERY) else MANUAL
    return by, name


def rescaled(message: str) -> tuple[int, str] | None:
    """Size and reason of an HPA's Event SuccessfulRescale: "New size: 5; reason: …"
    (k/k pkg/controller/podautoscaler/horizontal.go)."""
    head, _, reason = message.partition("; reason: ")
    number = head.removeprefix("New size: ")
    return (int(number), reason) if number.isdecimal() else None


def executed(cronhpa: Mapping[str, Any], since: Mapping[str, str]) -> list[tuple[int, str, str]]:
    """(size, job, lastProbeTime) of the jobs of a CronHorizontalPodAutoscaler that succeeded since
    its last version; `since`: job -> lastProbeTime that is known (kubernetes-cronhpa-controller,
    status.conditions)."""
    found = []
    for job in (cronhpa.get("status") or {}).get("conditions") or ():
        name, probed = str(job.get("name", "")), str(job.get("lastProbeTime") or "")
        size = job.get("targetSize")
        if job.get("state") == "Succeed" and isinstance(size, int) and since.get(name) != probed:
            found.append((size, name, probed))
    return found
