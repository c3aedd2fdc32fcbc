"""One run of the black box: ask the runtime, keep evidence, say what it adds up to.

A first document is written as soon as there is a verdict, the whole one at the end: should
something hang after all, the verdict is not lost. The last document counts.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from collectors.node.aside import Aside, Late
from collectors.node.blackbox import verdict
from collectors.node.blackbox.bounds import fit
from collectors.node.blackbox.dump import dump_goroutines
from collectors.node.blackbox.evidence import Evidence
from collectors.node.blackbox.messages import VERSION
from collectors.node.blackbox.probe import Findings, Limits, probe
from collectors.node.blackbox.sockets import Listener, candidates, of_kubelet, try_all
from collectors.node.host.cmdline import CommandLines
from collectors.node.host.processes import text
from pipeline.contract.state import OK, TIMEOUT

Body = dict[str, Any]
_EVIDENCE_S = 15.0  # of the whole run: a look at the processes, another one, logs, mounts
_READ_S = 1.0
_SETTINGS_BYTES = 1 << 18


def run(task: Any, write: Callable[[Body], None]) -> None:
    """`task`: see __main__.py. `write` is called twice, with the body of a probe event."""
    began = time.monotonic()
    evidence = Evidence(task)
    evidence.begin()
    found = evidence.look()
    body = {"probe": "cri", "why": task.why} | _ask_runtime(task, evidence)
    write(fit(body | found | {"ms": _ms(began)}, task.config.max_bytes))
    rest = evidence.rest()
    if task.config.goroutine_dump and body["verdict"] == verdict.RUNTIME_WIDE:
        rest["goroutine_dump"] = dump_goroutines(str(task.host.proc), evidence.daemons)
    whole = body | rest | {"ms": _ms(began)}
    write(fit(whole, task.config.max_bytes) | {"complete": True})


def _ask_runtime(task: Any, evidence: Evidence) -> Body:
    """The first listener that speaks CRI is the runtime's."""
    listeners = try_all(_candidates(task, evidence))
    suspects = evidence.suspects() | set(task.suspects)
    for listener in listeners:
        if listener.outcome == TIMEOUT:
            return verdict.without_runtime([listener])
        if listener.outcome == OK:
            found, service = _probe(task, listener, suspects)
            if found is not None:
                return _body(listener, service, found)
    return verdict.without_runtime([_no_cri(listener) for listener in listeners])


def _candidates(task: Any, evidence: Evidence) -> Sequence[str]:
    told = Aside(partial(_of_kubelet, task, evidence), name="kubelet's settings")
    told.begin()
    try:
        kubelet = told.take(_READ_S)
    except (Late, OSError):
        kubelet = []
    return candidates(
        [str(path) for path in task.config.sockets],
        kubelet=kubelet,
        usual=[str(path) for path in task.config.usual_sockets],
        root=str(task.host.root),
    )


def _of_kubelet(task: Any, evidence: Evidence) -> list[str]:
    """On a thread of its own: files and command lines may hang."""
    kubelet, root = evidence.daemons.get("kubelet"), str(task.host.root).rstrip("/")
    if kubelet is None:
        return []
    arguments = CommandLines(str(task.host.proc)).of(kubelet.pid)
    return of_kubelet(arguments, lambda path: text(f"{root}{path}", _SETTINGS_BYTES))


def _probe(task: Any, listener: Listener, suspects: set[str]) -> tuple[Findings | None, str]:
    """None: it answers, and does not know CRI."""
    from collectors.node.blackbox.cri import UNIMPLEMENTED, Cri

    config = task.config
    calls_s = config.total_s - _EVIDENCE_S
    limits = Limits(config.call_s, calls_s, config.parallel, config.stats)
    runtime = Cri(listener.path)
    try:
        found = probe(runtime, limits, suspects=suspects, why=task.why)
    finally:
        runtime.close()
    known = found.first[VERSION].code != UNIMPLEMENTED
    return (found if known else None), runtime.service


def _no_cri(listener: Listener) -> Listener:
    if listener.outcome != OK:
        return listener
    return listener._replace(outcome="status", detail="it listens, and does not know CRI")


def _body(listener: Listener, service: str, found: Findings) -> Body:
    judged, reason = verdict.conclude(found)
    body = {
        "verdict": judged,
        "reason": reason,
        "socket": listener.path,
        "service": service,
        "runtime": found.runtime,
        "conditions": found.conditions,
        "calls": verdict.calls(found),
        "answered": verdict.counts(found),
        "unasked": found.unasked,
        "stuck": verdict.stuck(found.asked),
    }
    return {key: value for key, value in body.items() if value or key == "stuck"}


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
