"""The questions to a runtime, in an order in which a hang says most.

Version, Status and the lists are asked first: when one of them hangs, the runtime hangs. Then the
status of each sandbox and container, the most suspicious first: when these hang for a few and
answer for the rest, those few are what the kubelet's relist waits for. ContainerStats comes last:
containerd answers everything else from memory, and only this needs the container's shim.
"""

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from collectors.node.blackbox import messages
from collectors.node.blackbox.messages import Result, Runtime, Target
from collectors.node.blackbox.wire import Malformed
from pipeline.contract.state import OK, TIMEOUT, UNREADABLE

FIRST = (messages.VERSION, messages.STATUS, messages.SANDBOXES, messages.CONTAINERS)


class Limits(NamedTuple):
    call_s: float
    total_s: float
    parallel: int
    stats: bool


@dataclass(slots=True)
class Findings:
    """What the runtime said, and did not."""

    first: dict[str, Result] = field(default_factory=dict)
    asked: list[tuple[Target, Result]] = field(default_factory=list)
    unasked: int = 0  # the time was over
    runtime: str = ""
    conditions: dict[str, dict[str, str | bool]] = field(default_factory=dict)


def probe(
    runtime: Runtime,
    limits: Limits,
    *,
    suspects: Collection[str],
    why: str = "",
    timer: Callable[[], float] = time.monotonic,
) -> Findings:
    """`suspects` are ids of containers, uids of pods and namespace/pod that other evidence names;
    so may the text of `why`."""
    end = timer() + limits.total_s
    found = Findings()
    with ThreadPoolExecutor(limits.parallel) as pool:
        _ask_first(runtime, pool, limits, found)
        targets = _targets(found, stats=limits.stats)
        targets.sort(key=partial(_order, suspects=frozenset(suspects), why=why))

        def ask(target: Target) -> Result | None:
            if timer() + limits.call_s > end:
                return None
            return runtime.call(target.call, target.request, limits.call_s)

        for target, result in zip(targets, pool.map(ask, targets), strict=True):
            if result is None:
                found.unasked += 1
            else:
                found.asked.append((target, result))
    return found


def _ask_first(runtime: Runtime, pool: ThreadPoolExecutor, limits: Limits, found: Findings) -> None:
    """Version alone, because it settles which version of the API is spoken; then the rest."""

    def ask(name: str) -> Result:
        return runtime.call(name, b"", limits.call_s)

    found.first[messages.VERSION] = ask(messages.VERSION)
    found.first |= zip(FIRST[1:], pool.map(ask, FIRST[1:]), strict=True)
    for name, read in ((messages.VERSION, _version), (messages.STATUS, _status)):
        if found.first[name].outcome == OK:
            _read(found, name, read)


def _version(found: Findings, body: bytes) -> None:
    found.runtime = messages.version(body)


def _status(found: Findings, body: bytes) -> None:
    found.conditions = messages.conditions(body)


def _targets(found: Findings, *, stats: bool) -> list[Target]:
    sandboxes: list[Target] = []
    containers: list[Target] = []

    def pods(_: Findings, body: bytes) -> None:
        sandboxes.extend(messages.sandboxes(body))

    def inside(_: Findings, body: bytes) -> None:
        containers.extend(messages.containers(body, {pod.id: pod for pod in sandboxes}))
        if stats:
            run = messages.running(body)
            asked = [replace(c, call=messages.STATS) for c in containers if c.id in run]
            containers.extend(asked)

    for name, read in ((messages.SANDBOXES, pods), (messages.CONTAINERS, inside)):
        if found.first[name].outcome == OK:
            _read(found, name, read)
    return [*sandboxes, *containers]


def _read(found: Findings, name: str, read: Callable[[Findings, bytes], None]) -> None:
    """An answer that cannot be read is an outcome, too."""
    try:
        read(found, found.first[name].body)
    except Malformed as error:
        found.first[name] = found.first[name]._replace(outcome=UNREADABLE, detail=str(error))


def _order(target: Target, *, suspects: frozenset[str], why: str) -> tuple[bool, bool, bool, int]:
    """Statuses before statistics; then what is named, what is not ready, what is new."""
    name = f"{target.namespace}/{target.pod}"
    named = bool(suspects & {target.id, target.uid, name}) or name in why or target.id in why
    return target.call == messages.STATS, not named, target.ready, -target.created


def hung(asked: Sequence[tuple[Target, Result]]) -> list[Target]:
    return [target for target, result in asked if result.outcome == TIMEOUT]
