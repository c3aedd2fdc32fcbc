"""Tables and columns, as processors write them and everyone else reads them.

The DDL lives in pipeline/store/migrations; a test holds the two together on the real engine.
Columns with `computed=True` are DEFAULT expressions of the table: the engine fills them at
insert, writers leave them out (field extraction in the engine is several times cheaper than in
Python: storage design, 4.2).
"""

from pipeline.contract.alert_tables import ALERTS as ALERTS
from pipeline.contract.capacity_tables import CAPACITY_1M as CAPACITY_1M
from pipeline.contract.capacity_tables import DRAINS as DRAINS
from pipeline.contract.capacity_tables import HPA_1M as HPA_1M
from pipeline.contract.columns import LOW as LOW
from pipeline.contract.columns import WHEN, WHERE
from pipeline.contract.columns import ColumnSpec as ColumnSpec
from pipeline.contract.columns import TableSpec as TableSpec
from pipeline.contract.scaling_tables import SCALE_SEGMENTS as SCALE_SEGMENTS
from pipeline.contract.scaling_tables import SCALE_TIMELINES as SCALE_TIMELINES
from pipeline.contract.scaling_tables import SCALE_TIMES as SCALE_TIMES
from pipeline.contract.scaling_tables import SCALINGS as SCALINGS

DATABASE = "kubeledger"


STREAMS = {"stdout": 1, "stderr": 2}  # Enum8 of logs.stream

# logs.flags, a sum.
PARTIAL = 1  # the line was cut: no `F` part came in time, or the size bound was reached
CLAMPED = 2  # ts was moved into [now - 7 d, now + 1 h]; the original is ts + ts_shift
UNPARSED = 4  # the line is not in the format of its file; body is the raw line
MULTILINE = 8  # several lines joined by a start pattern
CONTINUES = 16  # this row continues the row before it (a line longer than the row limit)
# The three bits above are the level that the line's carrier said (journald's priority), as an
# index into LEVELS. It counts for column `level` where the body itself says none.
LEVEL_SHIFT = 5
LEVELS = ("", "debug", "info", "warn", "error", "fatal")

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
            "weight",
            "Float32",
            "how many lines it stands for, where others were shed",
            computed=True,
        ),
        ColumnSpec(
            "fields",
            "String",
            "read by a configuration, JSON or empty; they are in attrs",
            computed=True,
        ),
        ColumnSpec("retention", LOW, "short, long, or empty: how long it is kept", computed=True),
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

SHED = TableSpec(
    "shed",
    (
        ColumnSpec("ts", "DateTime64(3, 'UTC')", "time of the last of these lines"),
        ColumnSpec("file_id", "UInt64", ""),
        ColumnSpec("node", LOW, ""),
        ColumnSpec("namespace", LOW, ""),
        ColumnSpec("workload", LOW, "Kind/name"),
        ColumnSpec("pod", LOW, ""),
        ColumnSpec("pod_uid", LOW, ""),
        ColumnSpec("container", LOW, ""),
        ColumnSpec("restart", "UInt32", ""),
        ColumnSpec("path", "String", ""),
        ColumnSpec("reason", LOW, "pipeline.stages.shed.REASONS"),
        ColumnSpec("rows", "UInt64", "lines (records) that are not stored"),
        ColumnSpec("bytes", "UInt64", "their raw bytes"),
        ColumnSpec("low", "UInt64", "first byte of the first"),
        ColumnSpec("high", "UInt64", "byte after the last; in between others may be stored"),
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


def _values(*names: tuple[str, str]) -> tuple[ColumnSpec, ...]:
    return tuple(
        ColumnSpec(name, "Nullable(Float64)", meaning, computed=True) for name, meaning in names
    )


NODE_SAMPLES = TableSpec(
    "node_samples",
    (
        *WHEN,
        ColumnSpec("node", LOW, "k8s.node.name"),
        ColumnSpec("part", LOW, "pipeline.contract.state.SAMPLE_PARTS, or cri, path (probes)"),
        ColumnSpec("outcome", LOW, "pipeline.contract.state.OUTCOMES; of cri its verdict"),
        ColumnSpec("ms", "UInt32", "how long it took"),
        ColumnSpec("status", "UInt16", "HTTP status, 0 if there was none"),
        ColumnSpec("patient", "UInt8", "1: asked again with a long deadline"),
        ColumnSpec("detail", "String", "why it failed"),
        ColumnSpec("values", "String", "pipeline/contract/samples.py, JSON; of a probe its body"),
        # NULL is unknown, never zero.
        *_values(
            ("pleg_age_s", "ts - values.pleg_last_seen"),
            ("relist_count", "finished relists since the kubelet started"),
            ("relist_sum", "their seconds"),
            ("running_pods", ""),
            ("desired_pods", ""),
            ("psi_cpu_some", "PSI, avg10, percent"),
            ("psi_memory_some", ""),
            ("psi_memory_full", ""),
            ("psi_io_some", ""),
            ("psi_io_full", ""),
            ("load1", "load average of the last minute"),
            ("dstate_count", "processes in uninterruptible sleep"),
            ("memory_available", "bytes"),
        ),
        ColumnSpec("healthz_failed", "Array(String)", "checks that failed", computed=True),
        *WHERE,
    ),
)

K8S_EVENTS = TableSpec(
    "k8s_events",
    (
        *WHEN,  # ts: the Event's last time
        ColumnSpec("uid", "String", ""),
        ColumnSpec("version", "String", "resourceVersion"),
        ColumnSpec("type", LOW, "Normal or Warning"),
        ColumnSpec("reason", LOW, ""),
        ColumnSpec("message", "String", ""),
        ColumnSpec("kind", LOW, "of the object it is about"),
        ColumnSpec("namespace", LOW, ""),
        ColumnSpec("name", "String", ""),
        ColumnSpec("object_uid", "String", ""),
        ColumnSpec("field", "String", "part of the object, for example spec.containers{app}"),
        ColumnSpec("component", LOW, "who reported it"),
        ColumnSpec("host", LOW, "where that runs"),
        ColumnSpec("first_seen", "DateTime64(3, 'UTC')", "1970 if unknown"),
        ColumnSpec("seen", "DateTime64(3, 'UTC')", "when the watcher saw it"),
        ColumnSpec("count", "UInt32", "how often it happened so far"),
        *WHERE,
    ),
)

OBJECTS = TableSpec(
    "objects",
    (
        *WHEN,
        ColumnSpec("resource", LOW, "plural name, with the group where there is one"),
        ColumnSpec("type", LOW, "ADDED, MODIFIED or DELETED"),
        ColumnSpec("namespace", LOW, ""),
        ColumnSpec("name", "String", ""),
        ColumnSpec("uid", "String", ""),
        ColumnSpec("resource_version", "String", ""),
        ColumnSpec("document", "String", "the object as recorded, JSON"),
        *WHERE,
    ),
)

SIGNALS = TableSpec(
    "signals",
    (
        *WHEN,  # ts: of the log line
        ColumnSpec("pattern", LOW, "id in the catalogue"),
        ColumnSpec("node", LOW, ""),
        ColumnSpec("program", LOW, "kubelet, containerd, kernel …"),
        ColumnSpec("namespace", LOW, ""),
        ColumnSpec("pod", LOW, ""),
        ColumnSpec("pod_uid", LOW, ""),
        ColumnSpec("container", LOW, ""),
        ColumnSpec("fields", "String", "what the pattern captured, JSON"),
        ColumnSpec("line", "String", ""),
        ColumnSpec("file_id", "UInt64", "of the line, as in `logs`"),
        ColumnSpec("off", "UInt64", "of the line, as in `logs`"),
        *WHERE,
    ),
)

FACTS = TableSpec(
    "facts",
    (
        *WHEN,
        ColumnSpec("kind", LOW, "pipeline.contract.facts.FACT_KINDS"),
        ColumnSpec("entity", "String", "kind/name or kind/namespace/name"),
        ColumnSpec("id", "String", "deterministic"),
        ColumnSpec("body", "String", "JSON"),
        ColumnSpec("machine", LOW, "of a transition", computed=True),
        ColumnSpec("from_state", LOW, "of a transition", computed=True),
        ColumnSpec("to_state", LOW, "of a transition", computed=True),
        ColumnSpec("reason", "String", "of a transition", computed=True),
        *WHERE,
    ),
)

# Read with FINAL: older versions of an episode go when parts are merged. All versions stay in
# `facts`, kind = 'episode'.
EPISODES = TableSpec(
    "episodes",
    (
        *WHEN,  # ts: of this version
        ColumnSpec("id", "String", ""),
        ColumnSpec("version", "UInt32", "1, 2, 3…; the highest counts"),
        ColumnSpec("entity", "String", "kind/name or kind/namespace/name"),
        ColumnSpec("body", "String", "the whole version, JSON"),
        ColumnSpec("status", LOW, "open, closed or merged", computed=True),
        ColumnSpec("cause", LOW, "id in the catalogue, or unknown", computed=True),
        ColumnSpec("verdict", LOW, "id in the catalogue, also if provisional", computed=True),
        ColumnSpec("confidence", LOW, "unknown possible probable certain", computed=True),
        ColumnSpec("title", "String", "", computed=True),
        ColumnSpec("summary", "String", "", computed=True),
        ColumnSpec("opened_at", "DateTime64(3, 'UTC')", "when its evidence began", computed=True),
        ColumnSpec("detected_at", "DateTime64(3, 'UTC')", "when that could be said", computed=True),
        ColumnSpec(
            "closed_at", "Nullable(DateTime64(3, 'UTC'))", "NULL while it is open", computed=True
        ),
        ColumnSpec("evidence", "String", "JSON array", computed=True),
        ColumnSpec("candidates", "String", "other causes, JSON array", computed=True),
        ColumnSpec("affected", "Array(String)", "entities that suffer from it", computed=True),
        ColumnSpec("merged_into", "String", "id of the episode that explains it", computed=True),
        *WHERE,
    ),
)


TABLES = (
    LOGS,
    FILES,
    GAPS,
    SHED,
    PODS,
    DEAD_LETTERS,
    NODE_SAMPLES,
    K8S_EVENTS,
    OBJECTS,
    SIGNALS,
    FACTS,
    EPISODES,
    CAPACITY_1M,
    HPA_1M,
    DRAINS,
    ALERTS,
    SCALINGS,
    SCALE_TIMELINES,
)
ROLLUP_1M = "logs_1m"  # rows and bytes per minute, namespace, workload, container, node, level
