"""Who decided, what is missing, and how much is said: the fold on a toy cluster."""

from typing import Any

import pytest

from pipeline.base.errors import UsageError
from pipeline.console.scalings import scaling_documents, unscaled_documents
from pipeline.contract.state import ADDED, DELETED, MODIFIED
from pipeline.elasticity.scaling.fold import Scaling
from pipeline.elasticity.scaling.say import PODS
from tests.pipeline.elasticity.scaling.toy import NS, T0, Deployment, Toy, owner, stamp

WEB = f"deployment/{NS}/web"


def decisions(toy: Toy) -> list[dict[str, Any]]:
    return scaling_documents(toy.facts)


def reasons(toy: Toy) -> list[str]:
    return [pod["reason"] for pod in unscaled_documents(toy.facts)]


def hpa(toy: Toy, size: int, at: int, *, kind: str = MODIFIED) -> None:
    toy.object(
        "horizontalpodautoscalers", kind, {"name": "web", "uid": "hpa-web"},
        spec={"scaleTargetRef": {"kind": "Deployment", "name": "web"}},
        status={"desiredReplicas": size, "lastScaleTime": stamp(at) if size else ""},
    )  # fmt: skip


def ready(toy: Toy, told: Deployment) -> None:
    for pod in told.live:
        toy.step(pod, told, "PodScheduled")
        toy.step(pod, told, "PodReadyToStartContainers", "Initialized", "started", "Ready")


@pytest.mark.parametrize("first", ["horizontalpodautoscalers", "deployments", "events"])
def test_an_hpa_is_the_author_whoever_is_told_first(first: str) -> None:
    toy = Toy()
    told = toy.create("web", 1)
    told.writer = ""
    hpa(toy, 0, 0, kind=ADDED)
    toy.settle()
    toy.scale("web", 3, writer="")
    hpa(toy, 3, toy.now)
    toy.event("SuccessfulRescale", "HorizontalPodAutoscaler", "web", "hpa-web",
              "New size: 3; reason: cpu above target")  # fmt: skip
    toy.deliver_all(first)
    toy.settle()
    [_, up] = decisions(toy)
    assert (up["by"], up["who"], up["from"], up["to"]) == ("hpa", f"hpa/{NS}/web", 1, 3)
    assert up["why"] == "cpu above target"
    assert len(up["pods"]) == 2


def test_who_says_nothing_was_not_the_hpa() -> None:
    """Owners of fields are not recorded: unknown at first, by hand when no HPA says it was he."""
    toy = Toy()
    toy.create("web", 1)
    hpa(toy, 0, 0, kind=ADDED)
    toy.settle()
    toy.scale("web", 2, writer="")
    toy.deliver_all()
    toy.tick(1)
    assert decisions(toy)[-1]["by"] == "unknown"
    toy.settle()
    assert decisions(toy)[-1]["by"] == "manual"


@pytest.mark.parametrize(
    ("writer", "by", "who"),
    [
        ("kubectl", "manual", "kubectl"),
        ("argocd-controller", "cd", "argocd-controller"),
        ("helm", "cd", "helm"),
        ("kube-controller-manager", "hpa", ""),
        ("kubernetes-cronhpa-controller", "cronhpa", ""),
    ],
)
def test_the_owner_of_the_field(writer: str, by: str, who: str) -> None:
    toy = Toy()
    toy.create("web", 1)
    toy.scale("web", 2, writer=writer)
    toy.settle()
    assert [(d["by"], d["who"]) for d in decisions(toy)] == [("create", ""), (by, who)]


def test_a_cronhpa_says_which_job_it_was() -> None:
    toy = Toy()
    toy.create("web", 1)
    toy.settle()
    toy.scale("web", 4, writer="manager")
    condition = {"name": "morning", "state": "Succeed", "targetSize": 4,
                 "lastProbeTime": stamp(toy.now)}  # fmt: skip
    toy.object(
        "cronhorizontalpodautoscalers", ADDED, {"name": "cron", "uid": "cron"},
        spec={"scaleTargetRef": {"kind": "Deployment", "name": "web"}},
        status={"conditions": [condition]},
    )  # fmt: skip
    toy.settle()
    up = decisions(toy)[-1]
    assert (up["by"], up["why"], up["to"]) == ("cronhpa", "job morning", 4)
    assert "cronh" in up["who"]


def test_a_pod_that_vpa_evicted_has_a_decision() -> None:
    toy = Toy()
    told = toy.create("web", 2)
    toy.settle()
    old = told.live[0]
    toy.event("EvictedByVPA", "Pod", old.name, old.uid)
    toy.lose("web", "deleted")
    toy.settle()
    up = decisions(toy)[-1]
    assert (up["by"], up["from"], up["to"], len(up["pods"])) == ("vpa", 2, 2, 1)
    assert up["decided"]["source"]["what"] == "Event EvictedByVPA"


def test_a_daemonset_grows_with_the_nodes() -> None:
    toy = Toy()
    for number in (0, 2, 3):
        kind = MODIFIED if number else ADDED
        toy.object("daemonsets", kind, {"name": "agent", "uid": "ds", "generation": 1,
                   "creationTimestamp": stamp(toy.now)},
                   status={"desiredNumberScheduled": number})  # fmt: skip
        for pod in range(max(0, number - 2), number):
            if f"agent-{pod}" not in toy.causes:
                toy.causes[f"agent-{pod}"] = "ds"
                toy.object("pods", ADDED, {
                    "name": f"agent-{pod}", "uid": f"agent-{pod}",
                    "labels": {"controller-revision-hash": "a"},
                    "creationTimestamp": stamp(toy.now),
                    "ownerReferences": [owner("DaemonSet", "agent")],
                }, spec={}, status={})  # fmt: skip
        toy.settle()
    found = [(d["by"], d["from"], d["to"], len(d["pods"])) for d in decisions(toy)]
    assert found == [("create", 0, 2, 2), ("nodes", 2, 3, 1)]


def test_without_the_deployments_the_decision_is_unknown_and_its_time_too() -> None:
    toy = Toy()
    toy.create("web", 3)
    toy.queues["deployments"].clear()
    toy.settle()
    [up] = decisions(toy)
    assert (up["workload"], up["by"], up["from"], up["to"]) == (WEB, "unknown", 0, 3)
    assert up["decided"] is None
    assert {pod["times"]["decided"] for pod in up["pods"]} == {None}
    assert {pod["segments"]["decision"] for pod in up["pods"]} == {None}


def test_without_the_replicasets_nothing_is_different() -> None:
    toy = Toy()
    told = toy.create("web", 3)
    toy.scale("web", 1)
    toy.scale("web", 2)
    toy.queues["replicasets"].clear()
    toy.settle()
    assert [(d["from"], d["to"]) for d in decisions(toy)] == [(0, 3), (3, 1), (1, 2)]
    assert [len(d["pods"]) for d in decisions(toy)] == [3, 0, 1]
    assert len(told.live) == 2
    assert reasons(toy) == []


def test_what_existed_before_is_not_caused_by_scaling() -> None:
    """A first list is told as MODIFIED; behind its `synced` also that means new."""
    toy = Toy(Scaling())
    toy.fold.reading.state.listed = False
    toy.create("web", 2)
    for queue in toy.queues.values():
        for event in queue:
            dict.__setitem__(event.body, "type", MODIFIED)  # type: ignore[arg-type]
    toy.settle()
    assert decisions(toy) == []
    assert set(reasons(toy)) == {"existed before the first event"}
    toy.synced("pods-again")
    toy.scale("web", 3)
    toy.settle()
    [up] = decisions(toy)
    assert (up["from"], up["to"], len(up["pods"])) == (2, 3, 1)


def test_a_job_and_the_retry_of_a_failed_pod() -> None:
    toy = Toy()
    toy.object("jobs", ADDED, {"name": "sum", "uid": "job", "generation": 1,
               "creationTimestamp": stamp(toy.now)},
               spec={"parallelism": 1, "completions": 2})  # fmt: skip
    for name, phase in (("a", "Failed"), ("b", "Succeeded"), ("c", "Succeeded")):
        meta = {"name": f"sum-{name}", "uid": f"sum-{name}", "creationTimestamp": stamp(toy.now),
                "ownerReferences": [owner("Job", "sum")]}  # fmt: skip
        toy.object("pods", ADDED, meta, spec={}, status={"phase": "Pending"})
        toy.object("pods", MODIFIED, meta, spec={}, status={"phase": phase})
    toy.settle()
    [up] = decisions(toy)
    assert (up["by"], up["from"], up["to"], up["status"]) == ("job", 0, 1, "done")
    assert [(pod["name"], pod["status"]) for pod in up["pods"]] == [
        ("sum-a", "failed"), ("sum-c", "finished")
    ]  # fmt: skip
    assert reasons(toy) == ["replaces sum-a, which was failed"]


def test_a_decision_that_does_not_come_to_an_end_is_stuck() -> None:
    toy = Toy()
    toy.create("web", 2)
    toy.settle()
    assert decisions(toy)[0]["status"] == "open"
    for _ in range(70):
        toy.tick(5)
    assert decisions(toy)[0]["status"] == "stuck"


def test_what_is_over_is_forgotten() -> None:
    toy = Toy()
    told = toy.create("web", 5)
    toy.deliver_all()
    ready(toy, told)
    toy.settle()
    assert decisions(toy)[0]["status"] == "done"
    for _ in range(20):
        toy.tick(5)
    state = toy.fold.causes.state
    assert [state.decisions, state.timelines, state.homes, state.unsettled] == [{}, {}, {}, {}]
    toy.delete("web")
    toy.settle()
    for _ in range(5):
        toy.tick(5)
    assert [state.controllers, state.sets, toy.fold.reading.state.pods] == [{}, {}, {}]


def test_a_burst_is_said_within_two_seconds_in_small_facts() -> None:
    toy, count = Toy(), 2_000
    told = toy.create("web", count)
    toy.deliver("deployments")
    toy.deliver("replicasets")
    while toy.queues["pods"]:  # two seconds of watch
        toy.now += 1
        toy.deliver("pods", 1)
    toy.tick(1)
    said = {pod["uid"] for fact in toy.facts for pod in fact.body["pods"]}
    assert len(said) == count
    assert max(len(fact.body["pods"]) for fact in toy.facts) <= PODS
    assert toy.now - T0 <= count + 1_000
    toy.facts.clear()
    ready(toy, told)
    toy.deliver_all()
    toy.tick(1)
    [up] = decisions(toy)
    assert (up["ready"], up["count"], up["status"]) == (count, count, "done")
    assert len(toy.facts) <= count / PODS + 5


def test_an_event_that_comes_before_its_pod_is_not_lost() -> None:
    toy = Toy()
    told = toy.create("web", 1)
    pod = told.live[0]
    toy.now += 120
    toy.event("FailedScheduling", "Pod", pod.name, pod.uid)
    toy.deliver_all("events")
    toy.settle()
    [up] = decisions(toy)
    assert up["pods"][0]["times"]["unschedulable"]["t"] == T0 + 120


def test_a_deployment_of_the_same_name_is_another() -> None:
    toy = Toy()
    toy.create("web", 2)
    toy.settle()
    toy.delete("web")
    toy.create("web", 1)
    toy.settle()
    assert [(d["by"], d["from"], d["to"]) for d in decisions(toy)] == [
        ("create", 0, 2), ("create", 0, 1)
    ]  # fmt: skip
    assert reasons(toy) == []


def test_a_static_pod() -> None:
    toy = Toy()
    meta = {"name": "etcd-node-a", "uid": "s", "creationTimestamp": stamp(toy.now),
            "ownerReferences": [owner("Node", "node-a")]}  # fmt: skip
    toy.object("pods", ADDED, meta, spec={}, status={})
    toy.object("pods", DELETED, meta)
    toy.settle()
    assert reasons(toy) == ["static pod of its node"]


def test_a_snapshot_of_another_version() -> None:
    with pytest.raises(UsageError, match="fold again"):
        Scaling().restore(b'{"version": 99}')
