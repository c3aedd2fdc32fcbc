"""The event log of a cluster: records on kubeledger.state, in ONE total order (one partition).

Everything that the folds know comes from here, so whatever a fold may depend on must be in the
record: observation times, time-outs, refusals, ticks. A value is one JSON object:

  {"v": 1, "kind": KIND, "t": Unix ms, "by": who saw it, "id": deterministic id, "body": {...}}

`t` is when it was observed (a signal: the time of its log line). `id` names the observation, so
that a record that is delivered twice changes nothing: folds ignore an id that they have seen.

Bodies by kind (`node`, `namespace`, `name` are Kubernetes names; absent means unknown, never 0):

  sample  one answer, or no answer, of one part of a node. `part` is one of SAMPLE_PARTS
          {node, part, asked_ms, ms, outcome, status?, detail?, patient?, values?}
          outcome is one of OUTCOMES; `ms` is how long it took; `values` by part: see
          pipeline/contract/samples.py
  object  a version of an API object, trimmed (no managedFields, no last-applied)
          {resource, type: ADDED|MODIFIED|DELETED, object, inferred?, replaced?, seen_ms?, cut?}
          inferred: a list did not have it any more; `object` has metadata alone
          replaced: of such a one: the list had another object with its name, which came before
          seen_ms: when it was seen, where it was written later (leases are sampled: a renewal is
          on the log at most 20 s after it was seen)
          cut: it was too large for a record; so many bytes it would have had. `object` has kind and
          metadata alone, without labels, annotations and finalizers: what it says of itself is
          not known, that it exists in this version is
  synced  what a list showed, or why there is none; `count` and `version` are of the list
          {resource, namespace?, name?, version, count, outcome, status?, detail?, uids?, after?,
           upto?, next_ms?}
          with namespace and name it speaks of that namespace, of that object alone
          uids: all there is, of the uids (as texts) in the range after < uid <= upto, "" being
          open: an object in it that is not among them, and not newer than `version`, does not
          exist any more. Written when a watcher begins, and once a day, after all objects again
          Without uids it says nothing about what exists, only that the watcher sees it again
          next_ms: the watch is open now, and the next such word comes within so many ms; said of
          leases. If it does not come the watcher is gone, and sees nothing of anything
          outcome other than ok: from now on nothing is seen, until an ok follows
  event   a Kubernetes Event; both APIs merged by uid
          {uid, version, type, reason, message, object: {kind, namespace, name, uid, field},
           component, host, first_ms, last_ms, count, cut?}
          cut: as of objects; of each text the first 1024 characters are left
  signal  a named pattern of the catalogue, found in a log line
          {pattern, node, program, namespace, pod, uid, container, fields: {name: text}, line,
           file, off}; file is 16 hex digits, off the byte offset of the line
  probe   what the black box or the path canary found
          cri:  {node, probe: "cri", why, verdict: runtime-wide|one-container|answers|no-socket,
                 reason, calls: [{call, target, pod, namespace, container?, outcome, ms, detail?}],
                 answered: {call: n}, unasked: n, stuck: [{namespace, pod, container, id, uid,
                 call}], socket, runtime, conditions: {type: {status, reason, message}}, dstate,
                 dstate_count, shims, runc, daemons, mounts: [{mount, type, outcome, ms}],
                 tails: {program: [line, …]}, ms, cut?: [key], incomplete?}; `calls` are the first
                 four and those that were slow or not answered well; dstate entries have `stack`;
                 `incomplete`: it was ended before all evidence was there
          path: {node, probe: "path", targets: [{name, address, outcome, ms}]}; name is
                 apiserver, dns, metadata, kubelet:NODE, pod:NODE
  tick    time passes: {}
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.contract.documents import read_json
from pipeline.contract.fields import VERSION, Headers, RecordError

SAMPLE, OBJECT, SYNCED, EVENT, SIGNAL, PROBE, TICK = (
    "sample",
    "object",
    "synced",
    "event",
    "signal",
    "probe",
    "tick",
)
KINDS = (SAMPLE, OBJECT, SYNCED, EVENT, SIGNAL, PROBE, TICK)
_KINDS = {kind: kind for kind in KINDS}  # comparing with a constant is then one look

# Parts of a node that are sampled.
METRICS = "metrics"  # kubelet /metrics, wanted families only
PROBES = "probes"  # kubelet /metrics/probes
RESOURCE = "resource"  # kubelet /metrics/resource
HEALTHZ = "healthz"  # kubelet /healthz?verbose
CONFIGZ = "configz"  # kubelet /configz
STATS = "stats"  # kubelet /stats/summary
HOST = "host"  # /proc, /sys, systemd, disks
GROWTH = "growth"  # when each container's log last grew
SAMPLE_PARTS = (METRICS, PROBES, RESOURCE, HEALTHZ, CONFIGZ, STATS, HOST, GROWTH)

# What became of a request.
OK = "ok"
TIMEOUT = "timeout"  # connected (or not) and no whole answer within the deadline
REFUSED = "refused"  # nothing listens
UNREACHABLE = "unreachable"  # no route, DNS, connection reset
FORBIDDEN = "forbidden"  # 401 or 403; `detail` names the missing rule
CERTIFICATE = "certificate"  # TLS could not be verified
STATUS = "status"  # any other status than 200; `status` has it
UNREADABLE = "unreadable"  # the answer is not what it should be
OUTCOMES = (OK, TIMEOUT, REFUSED, UNREACHABLE, FORBIDDEN, CERTIFICATE, STATUS, UNREADABLE)

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"

Body = Mapping[str, Any]


@dataclass(slots=True)
class StateEvent:
    """One record of the event log. Nobody changes one; it is not frozen because a frozen one takes
    three times as long to make, and one is made of every record."""

    kind: str
    t: int  # Unix milliseconds
    by: str  # node name, `watch`, `process-logs`, `process-state`
    id: str
    body: Body


def encode_state(event: StateEvent) -> tuple[bytes, Headers]:
    """Value and headers of a record on kubeledger.state."""
    value = json.dumps(
        {
            "v": VERSION,
            "kind": event.kind,
            "t": event.t,
            "by": event.by,
            "id": event.id,
            "body": event.body,
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return value.encode("utf-8", "surrogatepass"), (
        ("v", b"%d" % VERSION),
        ("kind", event.kind.encode()),
    )


def decode_state(value: bytes, loads: Callable[[bytes], Any] = read_json) -> StateEvent:
    """Raises RecordError for anything that is not a state event of a known format. `loads`: the
    node agent does without the faster reader that the processors have."""
    try:
        document = loads(value)
    except ValueError as error:
        raise RecordError(f"state event is not JSON: {error}") from error
    return state_event(document)


def state_event(document: Any) -> StateEvent:
    """From what was JSON. Raises RecordError as `decode_state` does."""
    try:
        version, kind, t, body = document["v"], document["kind"], document["t"], document["body"]
        event = StateEvent(_KINDS[kind], t, document["by"], document["id"], body)
    except (KeyError, TypeError):
        raise RecordError(_misfit(document)) from None
    if version != VERSION or type(t) is not int or type(body) is not dict:
        raise RecordError(_misfit(document))
    return event


def _misfit(document: Any) -> str:
    """Why it is no state event."""
    if not isinstance(document, dict) or document.get("v") != VERSION:
        found = document.get("v") if isinstance(document, dict) else type(document).__name__
        return f"state event format {found!r} is not known (this reads {VERSION})"
    missing = [name for name in ("kind", "t", "by", "id", "body") if name not in document]
    if missing:
        return f"state event is incomplete: {missing[0]!r} is missing"
    if document["kind"] not in KINDS:
        return f"state event kind {document['kind']!r} is not one of {', '.join(KINDS)}"
    return "state event has no integer time `t`, or its body is not an object"
