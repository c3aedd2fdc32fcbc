"""What exists, as far as the folds need to look it up: pods, the nodes they run on, and the
workloads that they belong to. Kept by the fold itself, before any detector sees an event.

Entities are named here, once: see pipeline/contract/facts.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, cast

_CLASSES = {
    "node": "node",
    "zone": "zone",
    "namespace": "namespace",
    "persistentvolumeclaim": "claim",
    "service": "service",
    "ingress": "service",
    "mesh": "mesh",
    "cluster": "cluster",
    "apiservice": "api",
    "hpa": "hpa",
    "cronhpa": "cronhpa",
    "vpa": "vpa",
    "cluster-autoscaler": "autoscaler",
    "karpenter": "autoscaler",
    "nodegroup": "nodegroup",
    "nodepool": "nodegroup",
    "acknodepool": "nodegroup",
    "nodeclaim": "api",
    "configmap": "api",
}
# What people call them, and the commands do.
_SHORT = {
    "horizontalpodautoscaler": "hpa",
    "cronhorizontalpodautoscaler": "cronhpa",
    "verticalpodautoscaler": "vpa",
}

FORGET_MS = 900_000  # more than any delay of a record, and than what is said of an ended pod


@dataclass(slots=True)
class Pod:
    """What is remembered of a pod."""

    namespace: str
    name: str
    uid: str
    node: str
    workload: str  # entity; the pod's own for a pod without owner
    claims: tuple[str, ...] = ()  # volume claims that it mounts, namespace/name


@dataclass(slots=True)
class WorldState:
    pods: dict[str, Pod] = field(default_factory=dict)  # namespace/name -> pod
    on_node: dict[str, dict[str, None]] = field(default_factory=dict)  # node -> pod keys
    owners: dict[str, str] = field(default_factory=dict)  # workload entity -> its owner
    zones: dict[str, str] = field(default_factory=dict)  # node -> zone, "" if it has none
    claims: dict[str, dict[str, None]] = field(default_factory=dict)  # claim -> pods that use it
    departed: dict[str, int] = field(default_factory=dict)  # node that was deleted -> last heard of
    # Pod that was deleted -> its node, and when; oldest first.
    gone: dict[str, tuple[str, int]] = field(default_factory=dict)


class World:
    def __init__(self, state: WorldState | None = None) -> None:
        self.state = state or WorldState()
        self.left: dict[str, str] = {}  # the owner of what the last event deleted, if it had one

    def pod(self, namespace: str, name: str) -> Pod | None:
        return self.state.pods.get(f"{namespace}/{name}")

    def pods_on(self, node: str) -> Iterator[Pod]:
        pods = self.state.pods
        return (pods[key] for key in self.state.on_node.get(node, ()))

    def node_of(self, key: str) -> str:
        """Node of a pod (namespace/name), also of one that was deleted lately; "" for none."""
        pod = self.state.pods.get(key)
        return pod.node if pod else self.state.gone.get(key, ("", 0))[0]

    def workload_of(self, namespace: str, name: str) -> str:
        """Entity that an observation about this pod belongs to."""
        pod = self.pod(namespace, name)
        return pod.workload if pod else pod_entity(namespace, name)

    def users_of(self, namespace: str, claim: str) -> list[tuple[str, str]]:
        """(entity, subject) of the pods that mount a volume claim; the claim itself if none."""
        keys = self.state.claims.get(f"{namespace}/{claim}", {})
        users = [(self.workload_of(*key.split("/", 1)), key) for key in keys]
        return users or [(object_entity("PersistentVolumeClaim", namespace, claim), "")]

    def see(self, resource: str, deleted: bool, obj: Mapping[str, Any], now: int = 0) -> None:
        """An object version. Only pods, nodes and owners of pods matter here. A deletion that is
        told late does not take away what has the same name now."""
        self.left.clear()
        if resource == "pods":
            self._pod(deleted, obj, now)
        elif resource == "nodes":
            self._node(deleted, obj, now)
        elif resource in ("replicasets", "jobs"):
            self._owner(resource, deleted, obj)

    def _pod(self, deleted: bool, obj: Mapping[str, Any], now: int) -> None:
        meta = obj["metadata"]
        key = f"{meta['namespace']}/{meta['name']}"
        old = self.state.pods.get(key)
        if deleted:
            if old is not None and old.uid == meta["uid"]:
                self._forget(key, old)
                self.state.gone.pop(key, None)
                self.state.gone[key] = old.node, now
            return
        spec = obj.get("spec") or {}
        node = spec.get("nodeName") or ""
        claims = _claims(meta, spec)
        if old is None or (old.uid, old.node, old.claims) != (meta["uid"], node, claims):
            self._forget(key, old)
            if node:
                self.state.on_node.setdefault(node, {})[key] = None
            for claim in claims:
                self.state.claims.setdefault(claim, {})[key] = None
        workload = workload_entity(meta, self.state.owners)
        pod = Pod(meta["namespace"], meta["name"], meta["uid"], node, workload, claims)
        if pod != old:
            self.state.pods[key] = pod

    def _forget(self, key: str, old: Pod | None) -> None:
        if old is None:
            return
        del self.state.pods[key]
        there = self.state.on_node.get(old.node, {})
        there.pop(key, None)
        if not there:
            self.state.on_node.pop(old.node, None)
        for claim in old.claims:
            users = self.state.claims.get(claim, {})
            users.pop(key, None)
            if not users:
                self.state.claims.pop(claim, None)

    def _node(self, deleted: bool, obj: Mapping[str, Any], now: int) -> None:
        meta = obj["metadata"]
        if deleted:
            self.state.zones.pop(meta["name"], None)
            self.state.departed[meta["name"]] = now
            return
        self.state.departed.pop(meta["name"], None)
        labels = meta.get("labels") or {}
        self.state.zones[meta["name"]] = labels.get("topology.kubernetes.io/zone") or labels.get(
            "failure-domain.beta.kubernetes.io/zone", ""
        )

    def departed(self, node: str, now: int) -> bool:
        """It was deleted. What runs there may speak for a while, and of no node of the cluster."""
        if node not in self.state.departed:
            return False
        self.state.departed[node] = now
        return True

    def tick(self, now: int) -> None:
        """Forget the departed of which nothing is heard any more, and pods that are long gone."""
        gone = self.state.gone
        old = takewhile(lambda item: now - item[1][1] > FORGET_MS, gone.items())
        for key, _ in list(old):
            del gone[key]
        for node, heard in list(self.state.departed.items()):
            if now - heard > FORGET_MS:
                del self.state.departed[node]

    def _owner(self, resource: str, deleted: bool, obj: Mapping[str, Any]) -> None:
        entity, left = learn_owner(self.state.owners, resource, deleted, obj)
        if left:
            self.left[entity] = left


def learn_owner(
    owners: dict[str, str], resource: str, deleted: bool, obj: Mapping[str, Any]
) -> tuple[str, str]:
    """A version of a ReplicaSet or Job: what owns it, into `owners`. Its entity, and the owner that
    it had until now, if it has none any more."""
    meta = obj["metadata"]
    kind = "replicaset" if resource == "replicasets" else "job"
    entity = f"{kind}/{meta['namespace']}/{meta['name']}"
    owner = "" if deleted else owner_entity(meta)
    if owner:
        owners[entity] = owner
    elif entity in owners:
        return entity, owners.pop(entity)
    return entity, ""


def workload_entity(meta: Mapping[str, Any], owners: Mapping[str, str]) -> str:
    """The outermost known owner of a pod; the pod's own entity if it has none."""
    return owners_of(meta, owners)[1]


def owners_of(meta: Mapping[str, Any], owners: Mapping[str, str]) -> tuple[str, str]:
    """`owner_entity` and `workload_entity` of a pod. A ReplicaSet that was not seen is known by
    the hash that a Deployment puts into its name."""
    owner = controller(meta)
    entity = _of(owner, meta)
    if owner is None or not entity:
        return "", pod_entity(meta["namespace"], meta["name"])
    known = owners.get(entity)
    if known:
        return entity, known
    if owner["kind"] == "ReplicaSet":
        suffix = "-" + (meta.get("labels") or {}).get("pod-template-hash", "")
        if len(suffix) > 1 and owner["name"].endswith(suffix):
            name = owner["name"][: -len(suffix)]
            return entity, f"deployment/{meta['namespace']}/{name}"
    return entity, entity


def _claims(meta: Mapping[str, Any], spec: Mapping[str, Any]) -> tuple[str, ...]:
    """A generic ephemeral volume has a claim of its own, called POD-VOLUME."""
    claims = []
    for volume in spec.get("volumes") or ():
        source = volume.get("persistentVolumeClaim")
        if source:
            claims.append(f"{meta['namespace']}/{source['claimName']}")
        elif "ephemeral" in volume:
            claims.append(f"{meta['namespace']}/{meta['name']}-{volume['name']}")
    return tuple(claims)


def controller(meta: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference that manages the object."""
    for reference in meta.get("ownerReferences") or ():
        if reference.get("controller"):
            return cast("Mapping[str, Any]", reference)
    return None


def owner_entity(meta: Mapping[str, Any]) -> str:
    """The workload that manages an object, whatever its kind (a Rollout, a CloneSet); "" for
    none. A static pod's owner is its node, which is no workload."""
    return _of(controller(meta), meta)


def _of(owner: Mapping[str, Any] | None, meta: Mapping[str, Any]) -> str:
    kind = owner["kind"].lower() if owner else ""
    if owner is None or kind in _CLASSES:
        return ""
    return object_entity(kind, meta["namespace"], owner["name"])


def pod_entity(namespace: str, name: str) -> str:
    return f"pod/{namespace}/{name}"


def node_entity(name: str) -> str:
    return f"node/{name}"


def object_entity(kind: str, namespace: str, name: str) -> str:
    """Entity of any API object: `kind/namespace/name`, without namespace where there is none."""
    word = kind.lower()
    word = _SHORT.get(word, word)
    if namespace and name:
        return f"{word}/{namespace}/{name}"
    return "/".join(part for part in (word, namespace, name) if part)


def entity_class(entity: str) -> str:
    """Which causes of the catalogue may explain it."""
    return _CLASSES.get(entity.split("/", 1)[0], "workload")


def controller_entity(entity: str, world: World) -> str:
    """The outermost owner that is known: a ReplicaSet's Deployment, a Job's CronJob; also of one
    that is just being deleted."""
    return world.state.owners.get(entity) or world.left.get(entity, entity)
