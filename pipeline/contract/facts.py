"""What the folds conclude: records on kubeledger.facts, key = entity.

A value is one JSON object:

  {"v": 1, "kind": KIND, "t": Unix ms, "entity": ENTITY, "id": deterministic id, "body": {...}}

An entity is `kind/name` or `kind/namespace/name`, kind in lower case: `node/node-a`,
`pod/shop/web-0`, `deployment/shop/web`, `namespace/shop`, `zone/zone-a`, `cluster/-`.
Writing a fact again changes nothing: same id, same bytes. Kinds:

  transition  a state machine moved: {machine, from, to, reason, message, source}
  episode     a version of an incident: see `Episode`; a later version replaces an earlier one
  capacity    figures at the end of a minute of event time, of `nodepool/NAME` or of an HPA; holds
              until the next one: pipeline/elasticity/capacity.py
  drain       a version of a node's drain: pipeline/elasticity/drains.py
  alert       a version of an alert, on kubeledger.alerts: see alerts/alert.py
  scaling     a version of a scaling decision: {id, version, workload, by, who, why, from, to,
              decided_at, decided, status, segments, longest, waits_in, total_ms, count, ready, due,
              pods}. `waits_in` is the segment in which most of what is missing is.
              `pods` are the timelines that changed since the last version; the latest of a pod
              counts. `by: none`: pods that no decision caused, each with its `reason`
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.contract.documents import read_record
from pipeline.contract.fields import VERSION, Headers, RecordError

TRANSITION, EPISODE, SCALING = "transition", "episode", "scaling"
CAPACITY, DRAIN = "capacity", "drain"
FACT_KINDS = (TRANSITION, EPISODE, SCALING, CAPACITY, DRAIN)
ALERT = "alert"  # concluded from facts, not from events

# Confidence of a cause, weakest first.
UNKNOWN, POSSIBLE, PROBABLE, CERTAIN = "unknown", "possible", "probable", "certain"
CONFIDENCES = (UNKNOWN, POSSIBLE, PROBABLE, CERTAIN)

FAULT, NOTE = "fault", "note"  # severity of an episode: a note is worth knowing, and no incident
NO_SCALING = "none"  # `by` of pods that no scaling decision caused

OPEN, CLOSED, MERGED = "open", "closed", "merged"  # Episode.status


@dataclass(frozen=True, slots=True)
class Fact:
    kind: str
    t: int  # Unix milliseconds, of the event that it follows from
    entity: str
    id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation that speaks for or against a cause, and where it is recorded."""

    atom: str  # name in the catalogue
    entity: str
    t: int  # first seen, Unix ms
    last: int  # last seen
    count: int
    quote: str  # what was seen, in the words of its source
    topic: str
    offset: int  # of the record that showed it first


def encode_fact(fact: Fact) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of a record on kubeledger.facts. Keys are sorted: the same fact is
    the same bytes."""
    value = json.dumps(
        {
            "v": VERSION,
            "kind": fact.kind,
            "t": fact.t,
            "entity": fact.entity,
            "id": fact.id,
            "body": fact.body,
        },
        separators=(",", ":"),
        ensure_ascii=False,
        sort_keys=True,
    )
    headers = (("v", b"%d" % VERSION), ("kind", fact.kind.encode()), ("id", fact.id.encode()))
    return fact.entity.encode(), value.encode("utf-8", "surrogatepass"), headers


def decode_fact(value: bytes) -> Fact:
    """Raises RecordError for anything that is not a fact of a known format."""
    document = read_record(value, "fact")
    try:
        fact = Fact(
            document["kind"], document["t"], document["entity"], document["id"], document["body"]
        )
    except KeyError as error:
        raise RecordError(f"fact is incomplete: {error} is missing") from error
    if type(fact.t) is not int or type(fact.body) is not dict:
        raise RecordError("fact has no integer time `t`, or its body is not an object")
    for name in ("kind", "entity", "id"):
        if type(document[name]) is not str:
            raise RecordError(f"`{name}` of a fact must be a text, found {document[name]!r:.40}")
    return fact
