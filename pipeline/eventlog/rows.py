"""A record of kubeledger.state -> the row that keeps it, and facts -> theirs.

This is also where an event is looked at before any fold gets it: one that lacks what its kind
must have is refused here, with a reason, and never folded. Ticks and `synced` have no row: they
matter to the folds alone.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from pipeline.contract.documents import read_json
from pipeline.contract.facts import CAPACITY, DRAIN, EPISODE, NO_SCALING, SCALING, Fact
from pipeline.contract.fields import RecordError
from pipeline.contract.state import (
    ADDED,
    DELETED,
    EVENT,
    MODIFIED,
    OBJECT,
    PROBE,
    SAMPLE,
    SIGNAL,
    SYNCED,
    Body,
    StateEvent,
    decode_state,
)
from pipeline.contract.tables import (
    CAPACITY_1M,
    DRAINS,
    EPISODES,
    FACTS,
    HPA_1M,
    K8S_EVENTS,
    NODE_SAMPLES,
    OBJECTS,
    SCALE_TIMELINES,
    SCALINGS,
    SIGNALS,
)

U16, U32, U64 = (1 << 16) - 1, (1 << 32) - 1, (1 << 64) - 1
LATEST_MS = 4_102_444_800_000  # the year 2100: what lies beyond is no time


class Row(NamedTuple):
    """`values` are the columns between `cluster` and `kp` of the table, in its order. `key` tells
    rows of one record apart: the time; of a fact its id; of an episode id and version."""

    table: str
    t: int
    ko: int
    key: str
    values: tuple[Any, ...]


def decode(value: bytes | None) -> StateEvent:
    """Raises RecordError."""
    if value is None:
        raise RecordError("a record of the event log needs a value; it has none")
    event = decode_state(value, _loads)
    if abs(event.t) > LATEST_MS or not isinstance(event.id, str) or not event.id:
        raise RecordError(f"time {event.t} or id {event.id!r:.40} is not to be used")
    return event


def row_of(event: StateEvent, offset: int) -> Row | None:
    """The event's row, None if its kind has none. Raises RecordError for a body that is not as
    pipeline/contract/state.py says."""
    make = _ROWS.get(event.kind)
    if make is None:
        return None
    found = make(event.body)
    if found is None:
        return None
    table, values = found
    t = event.t
    if table is K8S_EVENTS:
        t = _number(event.body, "last_ms", LATEST_MS) or event.t
        values = (*values[:-1], event.t, values[-1])
    return Row(table.name, t, offset, str(t), values)


def fact_rows(facts: list[Fact], offset: int) -> Iterator[Row]:
    """A row of `facts` each, a version of `episodes` for each episode; of `scalings` for each
    scaling decision, and of `scale_timelines` for each pod that it names."""
    for fact in facts:
        body = _dumps(fact.body, sort=True)
        yield Row(FACTS.name, fact.t, offset, fact.id, (fact.kind, fact.entity, fact.id, body))
        if fact.kind == EPISODE:
            name, version = str(fact.body.get("id", "")), _number(fact.body, "version", U32)
            values = (name, version, fact.entity, body)
            yield Row(EPISODES.name, fact.t, offset, f"{name}:{version}", values)
        elif fact.kind == SCALING:
            yield from _scaling_rows(fact, offset)
        elif fact.kind == CAPACITY:
            yield _minute(fact, offset, body)
        elif fact.kind == DRAIN:
            name, version = str(fact.body.get("id", "")), _number(fact.body, "version", U32)
            drain = (name, version, str(fact.body.get("node", "")), body)
            yield Row(DRAINS.name, fact.t, offset, f"{name}:{version}", drain)


def _minute(fact: Fact, offset: int, body: bytes) -> Row:
    """Of a node pool, or of an HPA. The entity tells rows of one tick apart."""
    if "pool" in fact.body:
        pool = (str(fact.body["pool"]), body)
        return Row(CAPACITY_1M.name, fact.t, offset, str(fact.body["pool"]), pool)
    namespace, name = str(fact.body.get("namespace", "")), str(fact.body.get("name", ""))
    return Row(HPA_1M.name, fact.t, offset, f"{namespace}/{name}", (namespace, name, body))


def _scaling_rows(fact: Fact, offset: int) -> Iterator[Row]:
    """The offset is the version of a pod: that goes up, whichever decision names the pod."""
    body = fact.body
    by, pods = str(body.get("by", "")), body.get("pods") or ()
    name = "" if by == NO_SCALING else str(body.get("id", ""))
    if name:
        version = _number(body, "version", U32)
        head = _dumps({key: value for key, value in body.items() if key != "pods"}, sort=True)
        values: tuple[Any, ...] = (name, version, fact.entity, head)
        yield Row(SCALINGS.name, fact.t, offset, f"{name}:{version}", values)
    for pod in pods:
        uid = str(pod.get("uid", ""))
        values = (uid, offset, name, fact.entity, by, _dumps(pod, sort=True))
        yield Row(SCALE_TIMELINES.name, fact.t, offset, f"{uid}:{offset}", values)


def _sample(body: Body) -> Any:
    return NODE_SAMPLES, (
        _must(body, "node"),
        _must(body, "part"),
        _must(body, "outcome"),
        _number(body, "ms", U32),
        _number(body, "status", U16),
        int(bool(body.get("patient"))),
        _text(body, "detail"),
        _dumps(_object(body, "values")),
    )


def _probe(body: Body) -> Any:
    """What the black box found stands among the samples of its node."""
    node, probe = _must(body, "node"), _must(body, "probe")
    return NODE_SAMPLES, (node, probe, _text(body, "verdict"), 0, 0, 0, "", _dumps(body))


def _version(body: Body) -> Any:
    if body.get("type") not in (ADDED, MODIFIED, DELETED):
        raise RecordError(f"`type` is {body.get('type')!r:.40}, not ADDED, MODIFIED or DELETED")
    document = _object(body, "object")
    meta = _object(document, "metadata")
    if not meta:
        raise RecordError("`object.metadata` is missing")
    return OBJECTS, (
        _must(body, "resource"),
        body["type"],
        _text(meta, "namespace"),
        _text(meta, "name"),
        _text(meta, "uid"),
        _text(meta, "resourceVersion"),
        _dumps(document),
    )


def _event(body: Body) -> Any:
    about = _object(body, "object")
    return K8S_EVENTS, (
        _must(body, "uid"),
        _text(body, "version"),
        _text(body, "type"),
        _text(body, "reason"),
        _text(body, "message"),
        _text(about, "kind"),
        _text(about, "namespace"),
        _text(about, "name"),
        _text(about, "uid"),
        _text(about, "field"),
        _text(body, "component"),
        _text(body, "host"),
        _number(body, "first_ms", LATEST_MS),
        _number(body, "count", U32),
    )


def _signal(body: Body) -> Any:
    return SIGNALS, (
        _must(body, "pattern"),
        _text(body, "node"),
        _text(body, "program"),
        _text(body, "namespace"),
        _text(body, "pod"),
        _text(body, "uid"),
        _text(body, "container"),
        _dumps(_object(body, "fields")),
        _text(body, "line"),
        _hex(_text(body, "file")),
        _number(body, "off", U64),
    )


def _synced(body: Body) -> None:
    _must(body, "resource")


_ROWS: Mapping[str, Callable[[Body], Any]] = {
    SAMPLE: _sample,
    PROBE: _probe,
    OBJECT: _version,
    EVENT: _event,
    SIGNAL: _signal,
    SYNCED: _synced,
}


def _must(body: Body, name: str) -> str:
    value = body.get(name)
    if type(value) is str and value:
        return value
    raise RecordError(f"`{name}` must be a text, found {value!r:.40}")


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise RecordError(f"`{name}` must be a text, found {value!r:.40}")


def _number(body: Body, name: str, most: int) -> int:
    """A whole number from 0 to `most`; what lies outside is moved to the edge."""
    value = body.get(name)
    if value is None:
        return 0
    if type(value) not in (int, float) or value != value:
        raise RecordError(f"`{name}` must be a number, found {value!r:.40}")
    return int(min(max(value, 0), most))


def _object(body: Body, name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if type(value) is dict:
        return value
    if value is None:
        return {}
    raise RecordError(f"`{name}` must be an object, found {value!r:.40}")


def _hex(text: str) -> int:
    try:
        return int(text, 16) & U64 if text else 0
    except ValueError:
        raise RecordError(f"`file` must be hex digits, found {text!r:.40}") from None


def _loads(value: bytes) -> Any:
    """The fast reader; the patient one for what it refuses and Python's writer makes: half
    surrogates (bytes of a log line that are no text), NaN, numbers beyond 64 bits."""
    try:
        return orjson.loads(value)
    except ValueError:
        return read_json(value)


def _dumps(value: Any, *, sort: bool = False) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort else None)
    except TypeError:
        try:
            return json.dumps(value, separators=(",", ":"), sort_keys=sort).encode()
        except (TypeError, RecursionError) as error:
            raise RecordError(f"it cannot be written as JSON: {error}") from None
