"""Records on the topics: what a collector writes and a processor reads.

All headers are ASCII text. Every record carries `v` (the format version) and `kind`. A reader
that meets a version it does not know must not guess: it raises `RecordError` and the record
becomes a dead letter.

Topic kubeledger.logs, key = pod uid (host files: `node:path`), kinds in the order of one file:

  open    a file was found and identified; value empty
  chunk   raw whole lines of ONE file, one zstd frame; the offset is the uncompressed position
  gap     bytes [from, to) of the file were gone before they were read; value empty
  end     the file is finished; `size` is its final size; value empty

Topic kubeledger.pods, key = pod uid: value is a JSON object, see `PodVersion`.
Topic kubeledger.dead, key = source `topic:partition`: the original record, its headers
prefixed with `o-`, and why it is here, see `DeadLetter`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.documents import read_record
from pipeline.contract.fields import VERSION as VERSION
from pipeline.contract.fields import Fields, check_version
from pipeline.contract.fields import Headers as Headers
from pipeline.contract.fields import RecordError as RecordError

# Log formats of a file, in header `format`.
# journal: entries of journald or of the kernel's log, which are in no file that can be read
# again. The collector makes one JSON object per line of them, in this order of keys:
#   {"ts": Unix ns, "p": syslog priority, "pid": n, "unit": text, "msg": text, "more": 1}
# All but ts and msg may be absent. `more`: the message goes on in the next line. Bytes of a
# message that are not UTF-8 are lone surrogates U+DC80..U+DCFF (Python's surrogateescape).
# Offsets are bytes of these lines; the path is `journal:UNIT`.
CRI, DOCKER, PLAIN, JOURNAL = "cri", "docker-json", "plain", "journal"
FORMATS = (CRI, DOCKER, PLAIN, JOURNAL)

# Chunk flags, a sum in header `flags`.
STARTS_MID_LINE = 1  # the first byte continues a line longer than the record limit
ENDS_MID_LINE = 2  # the last line goes on in the next chunk
UNTERMINATED = 4  # the file is finished and its last line has no newline

# Gap reasons, a closed list.
ROTATED_AWAY = "rotated-away"  # rotation deleted a generation before it was read
DELETED = "deleted"  # the file or its pod was removed before it was read
TRUNCATED = "truncated"  # the file became shorter than what was already acknowledged
HELD_LIMIT = "held-limit"  # deleted files held open beyond the bound were given up
UNREADABLE = "unreadable"  # read errors, or a damaged .gz generation
REFUSED = "refused"  # the broker refuses the bytes for good, however small the record
GAP_REASONS = (ROTATED_AWAY, DELETED, TRUNCATED, HELD_LIMIT, UNREADABLE, REFUSED)

# `path` of a file in a volume of a pod: this, and the path as the container sees it.
VOLUME = "volume:"


@dataclass(frozen=True, slots=True)
class Source:
    """Who wrote a file. Container logs: from the path (kubelet layout). Host files: uid and
    pod are empty and `container` is the program (`kubelet`, `messages`)."""

    node: str
    namespace: str
    pod: str
    uid: str
    container: str
    restart: int
    path: str

    @property
    def key(self) -> bytes:
        """Partition key: all files of a pod on one partition, in order."""
        return (self.uid or f"{self.node}:{self.path}").encode()

    @property
    def file(self) -> str:
        """Of a file in a volume: its path in the container; "" for everything else."""
        inside = bool(self.uid) and self.path.startswith(VOLUME)
        return self.path.removeprefix(VOLUME) if inside else ""


@dataclass(frozen=True, slots=True)
class FileEvent:
    """What all four kinds share: which file, where in it, who wrote it."""

    source: Source
    file_id: int  # 64-bit, see collectors/logs/identity.py
    kind: str  # open | chunk | gap | end


@dataclass(frozen=True, slots=True)
class FileOpen(FileEvent):
    format: str
    seen_ms: int  # collector's clock, Unix milliseconds


@dataclass(frozen=True, slots=True)
class Chunk(FileEvent):
    """Raw bytes [offset, offset + raw_length) of the uncompressed file."""

    offset: int
    raw_length: int
    lines: int  # newlines in the raw bytes; 0 = not counted (the node collector does not)
    format: str
    codec: str  # zstd | none
    crc32c: int  # of the raw bytes
    pod_version: int  # PodVersion.version known when read; 0 = none known
    flags: int
    first_ts: str  # first word of the first / last line as written (CRI), "" if not at hand
    last_ts: str
    read_ms: int  # collector's clock when the bytes were read, Unix milliseconds
    replay: str = ""  # id of the dead letter this was, when put back by `replay dead`


@dataclass(frozen=True, slots=True)
class Gap(FileEvent):
    """Bytes [start, stop) will never come. `exact` is false when `stop` is the last size seen
    and the file may have grown unseen afterwards."""

    start: int
    stop: int
    reason: str
    exact: bool
    seen_ms: int


@dataclass(frozen=True, slots=True)
class FileEnd(FileEvent):
    """`size` bytes in total. `exact` is false when the file vanished and `size` is the last
    size seen."""

    size: int
    reason: str  # rotated | deleted | truncated | replaced
    exact: bool
    seen_ms: int


LogRecord = FileOpen | Chunk | Gap | FileEnd


def _text(value: object) -> bytes:
    return str(int(value) if isinstance(value, bool) else value).encode()


def _source_headers(event: FileEvent) -> list[tuple[str, bytes]]:
    source = event.source
    return [
        ("v", b"%d" % VERSION),
        ("kind", event.kind.encode()),
        ("file", b"%016x" % event.file_id),
        ("node", source.node.encode()),
        ("namespace", source.namespace.encode()),
        ("pod", source.pod.encode()),
        ("uid", source.uid.encode()),
        ("container", source.container.encode()),
        ("restart", b"%d" % source.restart),
        ("path", source.path.encode()),
    ]


_EXTRA: Mapping[str, tuple[tuple[str, str], ...]] = {
    # kind -> (header, attribute)
    "open": (("format", "format"), ("seen", "seen_ms")),
    "chunk": (
        ("offset", "offset"),
        ("raw", "raw_length"),
        ("lines", "lines"),
        ("format", "format"),
        ("codec", "codec"),
        ("crc32c", "crc32c"),
        ("podversion", "pod_version"),
        ("flags", "flags"),
        ("first", "first_ts"),
        ("last", "last_ts"),
        ("read", "read_ms"),
        ("replay", "replay"),
    ),
    "gap": (
        ("from", "start"),
        ("to", "stop"),
        ("reason", "reason"),
        ("exact", "exact"),
        ("seen", "seen_ms"),
    ),
    "end": (("size", "size"), ("reason", "reason"), ("exact", "exact"), ("seen", "seen_ms")),
}
_OPTIONAL = {"replay"}


def encode_headers(event: LogRecord) -> Headers:
    """Headers of a record on kubeledger.logs. The value travels beside them."""
    headers = _source_headers(event)
    for header, attribute in _EXTRA[event.kind]:
        value = getattr(event, attribute)
        if header in _OPTIONAL and not value:
            continue
        headers.append((header, _text(value)))
    return tuple(headers)


def _decode_gap(fields: Fields, source: Source, file_id: int) -> Gap:
    start, stop = fields.number("from"), fields.number("to")
    if stop < start:
        raise RecordError(f"gap ends at {stop} before it starts at {start}")
    exact, seen = fields.number("exact") != 0, fields.number("seen")
    return Gap(source, file_id, "gap", start, stop, fields.text("reason"), exact, seen)


def _decode_end(fields: Fields, source: Source, file_id: int) -> FileEnd:
    exact, seen = fields.number("exact") != 0, fields.number("seen")
    return FileEnd(
        source, file_id, "end", fields.number("size"), fields.text("reason"), exact, seen
    )


def decode_headers(headers: Iterable[tuple[str, bytes]]) -> LogRecord:
    """The event that the headers describe. Raises RecordError, never anything else."""
    fields = Fields(headers)
    check_version(fields)
    kind = fields.choice("kind", tuple(_EXTRA))
    source = Source(
        node=fields.text("node"),
        namespace=fields.text("namespace"),
        pod=fields.text("pod"),
        uid=fields.text("uid"),
        container=fields.text("container"),
        restart=fields.number("restart"),
        path=fields.text("path"),
    )
    file_id = fields.number("file", 16)
    if file_id >= 1 << 64:
        raise RecordError("header `file` is wider than 64 bits")
    if kind == "open":
        return FileOpen(
            source, file_id, kind, fields.choice("format", FORMATS), fields.number("seen")
        )
    if kind == "gap":
        return _decode_gap(fields, source, file_id)
    if kind == "end":
        return _decode_end(fields, source, file_id)
    return Chunk(
        source=source,
        file_id=file_id,
        kind=kind,
        offset=fields.number("offset"),
        raw_length=fields.number("raw"),
        lines=fields.number("lines"),
        format=fields.choice("format", FORMATS),
        codec=fields.choice("codec", ("zstd", "none")),
        crc32c=fields.number("crc32c"),
        pod_version=fields.number("podversion"),
        flags=fields.number("flags"),
        first_ts=fields.text("first"),
        last_ts=fields.text("last"),
        read_ms=fields.number("read"),
        replay=fields.text("replay", ""),
    )


@dataclass(frozen=True, slots=True)
class Owner:
    """One link of the owner chain. `derived` is true when the link comes from a naming rule
    (ReplicaSet name minus pod-template-hash -> Deployment; Job name minus its number ->
    CronJob) and not from an ownerReference that was seen."""

    kind: str
    name: str
    derived: bool = False


@dataclass(frozen=True, slots=True)
class PodVersion:
    """A pod as the node agent knew it. `version` grows with every change the agent saw
    (Unix milliseconds of its clock, made strictly increasing per pod)."""

    uid: str
    name: str
    namespace: str
    node: str
    version: int
    created: str = ""  # metadata.creationTimestamp, RFC 3339
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[Owner, ...] = ()  # from the pod outwards; the last is the workload
    images: Mapping[str, str] = field(default_factory=dict)  # container -> image
    # container -> variables that speak of logs (wishes.py); nothing else of the environment
    env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # container -> its path of a directory -> NAME/SUBPATH of an emptyDir, or path of a hostPath
    mounts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def workload(self) -> str:
        """`Kind/name` of the outermost owner, `Pod/name` for a pod without one."""
        if self.owners:
            last = self.owners[-1]
            return f"{last.kind}/{last.name}"
        return f"Pod/{self.name}"


def encode_pod(pod: PodVersion) -> bytes:
    """Value of a record on kubeledger.pods."""
    return json.dumps(
        {
            "v": VERSION,
            "uid": pod.uid,
            "name": pod.name,
            "namespace": pod.namespace,
            "node": pod.node,
            "version": pod.version,
            "created": pod.created,
            "labels": dict(pod.labels),
            "annotations": dict(pod.annotations),
            "owners": [[o.kind, o.name, o.derived] for o in pod.owners],
            "images": dict(pod.images),
            **({"env": {name: dict(v) for name, v in pod.env.items()}} if pod.env else {}),
            **({"mounts": {n: dict(v) for n, v in pod.mounts.items()}} if pod.mounts else {}),
        },
        separators=(",", ":"),
        sort_keys=True,
    ).encode()


def _nested(found: Any) -> dict[str, dict[str, str]]:
    return {str(n): {str(k): str(v) for k, v in values.items()} for n, values in found.items()}


def decode_pod(value: bytes) -> PodVersion:
    """Raises RecordError for anything that is not a pod version of a known format."""
    document = read_record(value, "pod version")
    try:
        return PodVersion(
            uid=str(document["uid"]),
            name=str(document["name"]),
            namespace=str(document["namespace"]),
            node=str(document["node"]),
            version=int(document["version"]),
            created=str(document["created"]),
            labels={str(k): str(v) for k, v in document["labels"].items()},
            annotations={str(k): str(v) for k, v in document["annotations"].items()},
            owners=tuple(Owner(str(k), str(n), bool(d)) for k, n, d in document["owners"]),
            images={str(k): str(v) for k, v in document["images"].items()},
            env=_nested(document.get("env", {})),
            mounts=_nested(document.get("mounts", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"pod version is incomplete: {error!r}") from error


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be processed, kept whole so that it can be put back.

    `id` is deterministic (`topic:partition:offset[:row offset]`), so that a batch that is
    processed twice does not make two dead letters that look different."""

    id: str
    topic: str
    partition: int
    offset: int
    reason: str  # short and countable: bad-record | bad-checksum | row-refused | ...
    detail: str
    headers: Headers  # of the original record


def encode_dead(letter: DeadLetter) -> Headers:
    """Headers of a record on kubeledger.dead; its value is the original value."""
    own = (
        ("v", b"%d" % VERSION),
        ("kind", b"dead"),
        ("id", letter.id.encode()),
        ("topic", letter.topic.encode()),
        ("partition", b"%d" % letter.partition),
        ("offset", b"%d" % letter.offset),
        ("reason", letter.reason.encode()),
        ("detail", letter.detail[:2000].encode("utf-8", "replace")),
    )
    return own + tuple((f"o-{name}", value) for name, value in letter.headers)


def decode_dead(headers: Iterable[tuple[str, bytes]]) -> DeadLetter:
    pairs = tuple(headers)
    fields = Fields(pairs)
    check_version(fields)
    fields.choice("kind", ("dead",))
    return DeadLetter(
        id=fields.text("id"),
        topic=fields.text("topic"),
        partition=fields.number("partition"),
        offset=fields.number("offset"),
        reason=fields.text("reason"),
        detail=fields.text("detail"),
        headers=tuple((name[2:], value) for name, value in pairs if name.startswith("o-")),
    )
