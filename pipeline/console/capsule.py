"""Capsules: a stretch of the event log in a directory, to be replayed anywhere.

  state.jsonl.zst  one state event a line, as on kubeledger.state; first the last versions of the
                   objects that existed when the stretch begins, then everything in it
  index.json       start, end, cluster, counts, what was redacted

Secrets that slipped into messages, annotations or log lines are blotted out always. Names of
namespaces and pods can be replaced by hashes, the same name by the same hash.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson
import zstandard

from pipeline.base.clock import Clock
from pipeline.base.config import load
from pipeline.base.errors import UsageError
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Broker, TopicPartition
from pipeline.console.when import parse_when
from pipeline.contract.record import RecordError
from pipeline.contract.state import (
    DELETED,
    OBJECT,
    SAMPLE,
    StateEvent,
    decode_state,
    encode_state,
    state_event,
)
from pipeline.contract.topics import STATE
from pipeline.state_config import StateProcessorConfig

FILE = "state.jsonl.zst"
_POLL_S = 1.0
_PIECE = 2048  # packed bytes that are inflated at once
_BLOCK = 1 << 15  # bytes that are decoded at once; a larger one leaves the processor's cache
_WINDOW = 1 << 23
_KEEP_NAMES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
# Words of the format itself: never names, whatever somebody called a namespace.
_WORDS = frozenset(
    {"resource", "part", "outcome", "type", "kind", "reason", "pattern", "verdict", "call", "probe",
     "status", "apiVersion", "phase", "program", "component"}
)  # fmt: skip
_WORD = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_SECRETS = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # JWT
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|\b(?:AKIA|ASIA|LTAI)[A-Za-z0-9]{12,24}\b"  # cloud access keys
    r"|(?i:(?<=bearer )[A-Za-z0-9._~+/-]{8,}=*)"
    r"|(?i:(?<=basic )[A-Za-z0-9+/]{8,}=*)"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # user:password@host
    r"|(?i:\b(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)\b[\"']?\s*[=:]\s*[\"']?)"
    r"(?P<value>[^\s\"',;}&]{4,})",
    re.DOTALL,
)


@dataclass(slots=True)
class Written:
    """What a capsule holds."""

    start: int
    end: int
    events: int = 0
    objects: int = 0
    redacted: int = 0
    unreadable: int = 0
    names: dict[str, str] = field(default_factory=dict)


def write_capsule(
    broker: Broker, out: Path, *, since_ms: int, until_ms: int, redact_names: bool = False
) -> Written:
    """Read the event log and write the stretch [since, until] to the directory `out`, which must
    not hold one yet."""
    if (out / FILE).exists() or (out / "index.json").exists():
        raise UsageError(f"{out}: holds a recording already; give another directory with --out")
    written = Written(since_ms, until_ms)
    before, within = _read(broker, since_ms, until_ms, written)
    written.objects, written.events = len(before), len(within)
    if not within:
        raise UsageError(
            'the event log has nothing between these times; `kubeledger query "SELECT min(ts), '
            'max(ts) FROM node_samples"` shows what is recorded'
        )
    events = [*before, *within]
    if redact_names:
        written.names = _pseudonyms(events)
    out.mkdir(parents=True, exist_ok=True)
    with writing(out) as lines:
        for event in events:
            lines.write(_line(event, written) + b"\n")
    index = {
        "start": within[0].t / 1000,
        "end": within[-1].t / 1000,
        "events": written.events,
        "objects": written.objects,
        "redacted": written.redacted,
        "names_redacted": redact_names,
    }
    (out / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    return written


def run_record(
    out: Path,
    *,
    data: Path | None,
    config: Path | None,
    since: str,
    until: str | None,
    redact_names: bool,
    clock: Clock,
) -> list[str]:
    """`kubeledger record`: the bus of a data directory, or that of a state processor's
    configuration."""
    if (data is None) == (config is None):
        raise UsageError("record needs --data of `kubeledger up`, or --config of `process state`")
    if data is not None:
        bus = data / "bus.db"
        if not bus.exists():
            raise UsageError(f"{data} is no data directory of `kubeledger up`: {bus} is missing")
        settings = BrokerConfig(url=f"sqlite:{bus}")
    else:
        settings = load(StateProcessorConfig, service="process-state", path=config).broker
    since_ms = parse_when(since, clock=clock) // 1_000_000
    until_ns = parse_when(until, clock=clock) if until else clock.wall_ns()
    broker = open_broker(settings)
    try:
        written = write_capsule(
            broker,
            out,
            since_ms=since_ms,
            until_ms=until_ns // 1_000_000,
            redact_names=redact_names,
        )
    finally:
        broker.close()
    lines = [
        f"{out}: {written.events} events, {written.objects} objects from before, "
        f"{written.redacted} secrets blotted out, {len(written.names)} names replaced",
        f"try       kubeledger replay {out}",
    ]
    if written.unreadable:
        lines.insert(1, f"{written.unreadable} records could not be read and are left out")
    return lines


def is_capsule(path: Path) -> bool:
    return (path / FILE).exists()


def read_capsule(path: Path) -> Iterator[StateEvent]:
    """Its events in order. Raises UsageError naming file and line."""
    file = path / FILE
    done = 0  # lines
    try:
        with file.open("rb") as packed:
            for lines in _lines(_inflated(packed)):
                try:
                    yield from map(state_event, _documents(lines))
                except (RecordError, ValueError):
                    raise _fault(lines, file, done) from None
                done += lines.count(b"\n")
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise UsageError(f"{file}: damaged behind line {done}: {error}") from None


def _inflated(packed: BinaryIO) -> Iterator[bytes]:
    """What was packed, in pieces: of some ten KiB with our own files, and bounded with any."""
    frame = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    while not frame.eof and (piece := packed.read(_PIECE)):
        whole = frame.decompress(piece)
        for at in range(0, len(whole), _BLOCK):
            yield whole[at : at + _BLOCK]
    if not frame.eof:
        raise EOFError("it ends too soon")
    if frame.unused_data or packed.read(1):
        raise EOFError("something follows its end")


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, many at a time."""
    rest = b""
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end:
            yield rest + piece[:end]
            rest = b""
        rest += piece[end:]
    if rest:
        yield rest + b"\n"


def _documents(lines: bytes) -> Any:
    """One for each line. Read as one JSON list, which is cheaper than line by line."""
    documents = orjson.loads(b"[" + lines[:-1].replace(b"\n", b",") + b"]")
    if len(documents) != lines.count(b"\n"):
        raise ValueError("a line is not one document")
    return documents


def _fault(lines: bytes, file: Path, before: int) -> UsageError:
    """Which line is wrong, and how."""
    for number, line in enumerate(lines.split(b"\n"), before + 1):
        try:
            decode_state(line, orjson.loads)
        except RecordError as error:
            return UsageError(f"{file}:{number}: {error}")
    raise AssertionError(f"{file}: lines that can be read one by one cannot be read together")


@contextmanager
def writing(out: Path) -> Iterator[BinaryIO]:
    """The file of events of a capsule in `out`, to be written."""
    packer = zstandard.ZstdCompressor(write_checksum=True)
    with (out / FILE).open("wb") as file, packer.stream_writer(file) as packed:
        yield cast("BinaryIO", packed)


def save_events(events: Iterable[StateEvent], out: Path, *, start: float, end: float) -> None:
    """Events of a replay, as a capsule."""
    out.mkdir(parents=True, exist_ok=True)
    with writing(out) as lines:
        for event in events:
            lines.write(encode_state(event)[0] + b"\n")
    (out / "index.json").write_text(json.dumps({"start": start, "end": end}) + "\n")


def _read(
    broker: Broker, since_ms: int, until_ms: int, written: Written
) -> tuple[list[StateEvent], list[StateEvent]]:
    """(last versions of what existed before, everything within), in order of the log."""
    tp, reader = TopicPartition(STATE, 0), broker.reader()
    before: dict[str, StateEvent] = {}
    within: list[StateEvent] = []
    try:
        reader.assign([tp])
        end = reader.end_offset(tp)
        reader.seek(tp, reader.beginning_offset(tp))
        while reader.position(tp) < end:
            for record in reader.poll(_POLL_S):
                if record.offset >= end:
                    break
                try:
                    event = decode_state(record.value or b"", orjson.loads)
                except RecordError:
                    written.unreadable += 1
                    continue
                if event.t < since_ms:
                    _remember(before, event)
                elif event.t <= until_ms:
                    within.append(event)
    finally:
        reader.close()
    return list(before.values()), within


def _remember(before: dict[str, StateEvent], event: StateEvent) -> None:
    """Objects that exist, and what each node last said of each part."""
    if event.kind == OBJECT:
        uid = event.body["object"]["metadata"].get("uid", event.id)
        before.pop(uid, None)
        if event.body["type"] != DELETED:
            before[uid] = event
    elif event.kind == SAMPLE:
        before[f"{event.body['node']}/{event.body['part']}"] = event


def _line(event: StateEvent, written: Written) -> bytes:
    body = _covered(event.body, written, "")
    return encode_state(replace(event, id=_renamed(event.id, written), body=body))[0]


def _covered(value: Any, written: Written, key: str) -> Any:
    """A copy without secrets, and without names where they are to be hidden."""
    if isinstance(value, str):
        text = _blot(value, written)
        return text if key in _WORDS else _renamed(text, written)
    if isinstance(value, dict):
        return {
            (_renamed(name, written) if "/" in name else name): _covered(inner, written, name)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_covered(inner, written, key) for inner in value]
    return value


def _blot(text: str, written: Written) -> str:
    def cover(match: re.Match[str]) -> str:
        written.redacted += 1
        value = match.group("value")
        return match.group()[: -len(value)] + "…" if value else "…"

    return _SECRETS.sub(cover, text)


def _pseudonyms(events: Iterable[StateEvent]) -> dict[str, str]:
    """Namespaces and pods -> names that say nothing."""
    names: dict[str, str] = {}
    for event in events:
        if event.kind != OBJECT:
            continue
        meta, resource = event.body["object"]["metadata"], event.body["resource"]
        found = [meta.get("namespace", "")]
        if resource in ("pods", "namespaces"):
            found.append(meta["name"])
        for name in found:
            if name and name not in _KEEP_NAMES:
                names[name] = "x" + blake2b(name.encode(), digest_size=4).hexdigest()
    return names


def _renamed(text: str, written: Written) -> str:
    """Whole names only. A word that is no name costs one look-up."""
    names = written.names
    return _WORD.sub(lambda m: names.get(m.group(), m.group()), text) if names else text
