"""What became of a LogConfig: accepted, contradicted by another, meant for how many pods.

Pure: it sees the versions that the watcher passes on, and says which statuses differ from what the
objects carry. Of a pod it keeps the group of pods that look alike (namespace, labels, containers),
and its name only.

Conditions are those of Kubernetes (metav1.Condition): a transition time changes with the status
alone, and nothing is said again that the object says already.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from collectors.cluster.configs import since_ms
from pipeline.contract.configs import LogErrors
from pipeline.contract.state import DELETED, OBJECT, StateEvent
from pipeline.contract.wishes import CLUSTER_LOG_CONFIGS, LOG_CONFIGS
from pipeline.logconfig.claims import Claim
from pipeline.logconfig.objects import ConfigObject, is_config, read_object
from pipeline.logconfig.precedence import resolve

ACCEPTED, CONFLICTING, ERRORS = "Accepted", "Conflicting", "Errors"
LATELY_MS = 900_000  # processors tell errors every five minutes
_OURS = (LOG_CONFIGS, CLUSTER_LOG_CONFIGS)
_MOST_MESSAGE = 1024


@dataclass(frozen=True, slots=True)
class Group:
    """Pods that look alike to a selector, but for their names."""

    namespace: str
    labels: tuple[tuple[str, str], ...]
    containers: tuple[str, ...]


@dataclass(slots=True)
class Known:
    """A configuration, and what its status says now."""

    resource: str
    generation: int
    config: ConfigObject
    status: Mapping[str, Any]


@dataclass(slots=True)
class StatusBook:
    """`dirty`: something changed since `due` was asked."""

    dirty: bool = False
    _errors: dict[str, LogErrors] = field(default_factory=dict)
    _pods: dict[str, tuple[Group, str]] = field(default_factory=dict)
    _groups: dict[Group, Group] = field(default_factory=dict)
    _configs: dict[str, Known] = field(default_factory=dict)

    def see(self, event: StateEvent) -> None:
        """A version of anything."""
        if event.kind != OBJECT:
            return
        resource, found = event.body["resource"], event.body["object"]
        uid, gone = found["metadata"]["uid"], event.body["type"] == DELETED
        if resource == "pods":
            self._pod(uid, found, gone=gone)
        elif resource in _OURS:
            self._configs.pop(uid, None)
            if not gone and is_config(found):
                config = read_object(found, since_ms=since_ms(found, event.t))
                generation = int(found["metadata"].get("generation", 1))
                self._configs[uid] = Known(resource, generation, config, found.get("status", {}))
            self.dirty = True

    def failed(self, errors: LogErrors) -> None:
        """Lines that are not what an object says."""
        self._errors[errors.origin] = errors
        self.dirty = True

    def calmed(self, now_ms: int) -> bool:
        """Are there errors that are not of lately any more? They are forgotten."""
        past = [o for o, one in self._errors.items() if now_ms - one.at_ms > LATELY_MS]
        for origin in past:
            del self._errors[origin]
        return bool(past)

    def _pod(self, uid: str, pod: Mapping[str, Any], *, gone: bool) -> None:
        before = self._pods.pop(uid, None)
        phase = pod.get("status", {}).get("phase")
        if not gone and phase not in ("Succeeded", "Failed"):
            meta, spec = pod["metadata"], pod.get("spec", {})
            made = Group(
                str(meta.get("namespace", "")),
                tuple(sorted((str(k), str(v)) for k, v in meta.get("labels", {}).items())),
                tuple(str(one.get("name")) for one in spec.get("containers", ())),
            )
            group = self._groups.setdefault(made, made)
            self._pods[uid] = group, str(meta.get("name", ""))
        self.dirty |= before != self._pods.get(uid)

    def due(self, now_ms: int) -> Iterator[tuple[ConfigObject, str, dict[str, Any]]]:
        """Objects whose status is not what it should be: (object, resource, status)."""
        self.dirty = False
        matched, conflicts = self._look()
        for uid, known in self._configs.items():
            errors = self._errors.get(known.config.origin)
            wanted = _status(known, matched[uid], conflicts[known.config.origin], errors, now_ms)
            if wanted != known.status:
                known.status = wanted
                yield known.config, known.resource, wanted

    def _look(self) -> tuple[dict[str, int], dict[str, set[str]]]:
        """Pods per configuration, and what contradicts it."""
        self._groups = {group: group for group, _ in self._pods.values()}
        matched: dict[str, int] = defaultdict(int)
        conflicts: dict[str, set[str]] = defaultdict(set)
        looked: set[tuple[Group, str]] = set()
        by_name = any(
            spec.selector.pods for known in self._configs.values() for spec in known.config.specs
        )
        for group, name in self._pods.values() if self._configs else ():
            of: dict[str, Any] = {"namespace": group.namespace, "pod": name,
                                  "labels": dict(group.labels)}  # fmt: skip
            chosen = []
            for container in group.containers:
                claims: dict[tuple[str, ...] | None, list[Claim]] = defaultdict(list)
                for uid, known in self._configs.items():
                    for spec in known.config.selecting(container=container, **of):
                        chosen.append(uid)
                        claims[spec.files].append(known.config.claim(spec))
                        break
                if (group, container) in looked:
                    continue
                if not by_name:
                    looked.add((group, container))
                for one in [one for some in claims.values() for one in resolve(some).conflicts]:
                    conflicts[one.loser].add(f"{one.setting}: {one.winner} counts")
                    conflicts[one.winner].add(f"{one.setting}: {one.loser} does not count")
            for uid in set(chosen):
                matched[uid] += 1
        return matched, conflicts


def _status(
    known: Known, pods: int, conflicts: set[str], errors: LogErrors | None, now_ms: int
) -> dict[str, Any]:
    problems = [problem.text for problem in known.config.problems]
    accepted = _condition(
        known, ACCEPTED, not problems, "Invalid" if problems else "Valid", problems, now_ms
    )
    told = sorted(conflicts)
    conflicting = _condition(
        known, CONFLICTING, bool(told), "Contradicted" if told else "Alone", told, now_ms
    )
    shown = []
    if errors is not None:
        shown = [f"lately {errors.lines:,} lines are not as written, such as: {errors.sample}"]
    failing = _condition(
        known, ERRORS, bool(shown), "Unparsed" if shown else "NoneSeen", shown, now_ms
    )
    return {
        "observedGeneration": known.generation,
        "matchedPods": pods,
        "conditions": [accepted, conflicting, failing],
    }


def _condition(
    known: Known, kind: str, true: bool, reason: str, told: list[str], now_ms: int
) -> dict[str, Any]:
    status = "True" if true else "False"
    said = known.status.get("conditions", ())
    before: Mapping[str, Any] = next((one for one in said if one.get("type") == kind), {})
    moment = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    same = before.get("status") == status
    return {
        "type": kind,
        "status": status,
        "observedGeneration": known.generation,
        "lastTransitionTime": before.get("lastTransitionTime", moment) if same else moment,
        "reason": reason,
        "message": "; ".join(told)[:_MOST_MESSAGE],
    }
