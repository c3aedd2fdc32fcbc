"""Tables and columns, as processors write them and everyone else reads them.

The DDL lives in pipeline/store/migrations; a test holds the two together on the real engine.
Columns with `computed=True` are DEFAULT expressions of the table: the engine fills them at
insert, writers leave them out (field extraction in the engine is several times cheaper than in
Python: storage design, 4.2).
"""

from dataclasses import dataclass

DATABASE = "kubeledger"


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    name: str
    type: str  # as ClickHouse prints it
    meaning: str
    computed: bool = False


@dataclass(frozen=True, slots=True)
class TableSpec:
    name: str
    columns: tuple[ColumnSpec, ...]

    @property
    def written(self) -> tuple[ColumnSpec, ...]:
        """Columns that a writer sends, in order."""
        return tuple(c for c in self.columns if not c.computed)

    def column(self, name: str) -> ColumnSpec:
        return next(c for c in self.columns if c.name == name)


STREAMS = {"stdout": 1, "stderr": 2}  # Enum8 of logs.stream

# logs.flags, a sum.
PARTIAL = 1  # the line was cut: no `F` part came in time, or the size bound was reached
CLAMPED = 2  # ts was moved into [now - 7 d, now + 1 h]; the original is ts + ts_shift
UNPARSED = 4  # the line is not in the format of its file; body is the raw line
MULTILINE = 8  # several lines joined by a start pattern
CONTINUES = 16  # this row continues the row before it (a line longer than the row limit)

LOW = "LowCardinality(String)"

LOGS = TableSpec(
    "logs",
    (
        ColumnSpec("ts", "DateTime64(9, 'UTC')", "time of the first part, as the runtime wrote it"),
        ColumnSpec("ts_shift", "Int64", "ns to add to ts for the original time; 0 if not clamped"),
        ColumnSpec("tenant", LOW, "reserved for multi-tenant stores; empty"),
        ColumnSpec("namespace", LOW, "k8s.namespace.name"),
        ColumnSpec("workload", LOW, "outermost owner, Kind/name"),
        ColumnSpec("pod", LOW, "k8s.pod.name"),
        ColumnSpec("pod_uid", LOW, "k8s.pod.uid"),
        ColumnSpec("container", LOW, "k8s.container.name"),
        ColumnSpec("restart", "UInt32", "k8s.container.restart_count"),
        ColumnSpec("node", LOW, "k8s.node.name"),
        ColumnSpec("stream", "Enum8('stdout' = 1, 'stderr' = 2)", "log.iostream"),
        ColumnSpec("level", LOW, "trace debug info warn error fatal, or empty", computed=True),
        ColumnSpec("body", "String", "the line as the process printed it, bytes kept"),
        ColumnSpec("trace_id", "String", "from JSON or logfmt, or empty", computed=True),
        ColumnSpec(
            "attrs",
            "Map(LowCardinality(String), String)",
            "JSON or logfmt fields, at most 32 of at most 1,024 bytes",
            computed=True,
        ),
        ColumnSpec("file_id", "UInt64", "identity of the file"),
        ColumnSpec("off", "UInt64", "uncompressed byte offset of the first part"),
        ColumnSpec("nbytes", "UInt32", "raw bytes of all parts, newlines and headers included"),
        ColumnSpec(
            "interleaved",
            "UInt32",
            "bytes of other rows between this row's parts: its last part ends at "
            "off + nbytes + interleaved",
        ),
        ColumnSpec("kp", "UInt16", "source partition"),
        ColumnSpec("ko", "UInt64", "source offset of the record that completed the row"),
        ColumnSpec("enriched", "UInt8", "1 pod metadata joined, 0 names from the path only"),
        ColumnSpec("flags", "UInt8", "see pipeline.contract.tables"),
        ColumnSpec(
            "stored_at", "DateTime64(3, 'UTC')", "when the engine took the row", computed=True
        ),
    ),
)

FILES = TableSpec(
    "files",
    (
        ColumnSpec("ts", "DateTime64(3, 'UTC')", "collector's clock"),
        ColumnSpec("event", "Enum8('open' = 1, 'end' = 2)", "what happened to the file"),
        ColumnSpec("file_id", "UInt64", "identity of the file"),
        ColumnSpec("node", LOW, ""),
        ColumnSpec("namespace", LOW, ""),
        ColumnSpec("pod", LOW, ""),
        ColumnSpec("pod_uid", LOW, ""),
        ColumnSpec("container", LOW, ""),
        ColumnSpec("restart", "UInt32", ""),
        ColumnSpec("path", "String", ""),
        ColumnSpec("size", "UInt64", "final size in uncompressed bytes (end), 0 (open)"),
        ColumnSpec("reason", LOW, "why it ended"),
        ColumnSpec("exact", "UInt8", "0 when size is only the last size seen"),
        ColumnSpec("kp", "UInt16", ""),
        ColumnSpec("ko", "UInt64", ""),
    ),
)
FILE_EVENTS = {"open": 1, "end": 2}

GAPS = TableSpec(
    "gaps",
    (
        ColumnSpec("ts", "DateTime64(3, 'UTC')", "collector's clock"),
        ColumnSpec("file_id", "UInt64", ""),
        ColumnSpec("node", LOW, ""),
        ColumnSpec("namespace", LOW, ""),
        ColumnSpec("pod", LOW, ""),
        ColumnSpec("pod_uid", LOW, ""),
        ColumnSpec("container", LOW, ""),
        ColumnSpec("restart", "UInt32", ""),
        ColumnSpec("path", "String", ""),
        ColumnSpec("start", "UInt64", "first missing byte"),
        ColumnSpec("stop", "UInt64", "byte after the last missing one"),
        ColumnSpec("reason", LOW, "pipeline.contract.record.GAP_REASONS"),
        ColumnSpec("exact", "UInt8", "0 when the file may have grown unseen beyond `stop`"),
        ColumnSpec("kp", "UInt16", ""),
        ColumnSpec("ko", "UInt64", ""),
    ),
)

PODS = TableSpec(
    "pods",
    (
        ColumnSpec("pod_uid", "String", ""),
        ColumnSpec("version", "UInt64", "PodVersion.version"),
        ColumnSpec("namespace", LOW, ""),
        ColumnSpec("pod", "String", ""),
        ColumnSpec("node", LOW, ""),
        ColumnSpec("workload", LOW, "Kind/name"),
        ColumnSpec("document", "String", "the pod version as recorded, JSON"),
    ),
)

DEAD_LETTERS = TableSpec(
    "dead_letters",
    (
        ColumnSpec("ts", "DateTime64(3, 'UTC')", "processor's clock when it was put aside"),
        ColumnSpec("id", "String", "DeadLetter.id"),
        ColumnSpec("reason", LOW, "short and countable"),
        ColumnSpec("detail", "String", ""),
        ColumnSpec("file_id", "UInt64", "0 if it could not be read"),
        ColumnSpec("off", "UInt64", "first raw byte concerned"),
        ColumnSpec("nbytes", "UInt32", "raw bytes concerned; 0 if unknown"),
        ColumnSpec("kp", "UInt16", ""),
        ColumnSpec("ko", "UInt64", ""),
    ),
)

TABLES = (LOGS, FILES, GAPS, PODS, DEAD_LETTERS)
ROLLUP_1M = "logs_1m"  # rows and bytes per minute, namespace, workload, container, node, level
