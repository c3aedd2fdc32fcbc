"""Tables of the flight recorder (pipeline/elasticity/scaling/); the others are in tables.py."""

from pipeline.contract.columns import LOW, WHEN, WHERE, ColumnSpec, TableSpec

# Read with FINAL: the latest version of each decision. All versions stay in `facts`.
SCALINGS = TableSpec(
    "scalings",
    (
        *WHEN,  # ts: of this version
        ColumnSpec("id", "String", ""),
        ColumnSpec("version", "UInt32", "1, 2, 3…; the highest counts"),
        ColumnSpec("workload", "String", "kind/namespace/name of the outermost owner"),
        ColumnSpec("body", "String", "the decision, JSON; its pods are in scale_timelines"),
        ColumnSpec("by", LOW, "hpa cronhpa vpa manual cd create rollout nodes job unknown",
                   computed=True),
        ColumnSpec("who", "String", "the autoscaler, or the manager of the field", computed=True),
        ColumnSpec("from_replicas", "UInt32", "", computed=True),
        ColumnSpec("to_replicas", "UInt32", "", computed=True),
        ColumnSpec("decided_at", "DateTime64(3, 'UTC')", "at the latest", computed=True),
        ColumnSpec("status", LOW, "open, done or stuck", computed=True),
        ColumnSpec("longest", LOW, "the segment that took most of the time", computed=True),
        ColumnSpec("total_ms", "Nullable(Int64)", "until its last pod was ready", computed=True),
        ColumnSpec("pods", "UInt32", "that it caused so far", computed=True),
        ColumnSpec("ready", "UInt32", "of these, that became ready", computed=True),
        *WHERE,
    ),
)  # fmt: skip

# T0 to T10 of a pod, and what lies between; pipeline/elasticity/scaling/timeline.py explains them.
SCALE_TIMES = (
    "decided", "created", "unschedulable", "autoscaler", "node_created", "node_ready", "scheduled",
    "sandbox", "initialized", "pulled", "started", "ready",
)  # fmt: skip
SCALE_SEGMENTS = (
    "decision", "queue", "provision", "bringup", "scheduling", "sandbox", "init", "pull", "ready",
)  # fmt: skip

# Read with FINAL: the latest version of each pod. Every pod that was seen is here once: by a
# decision, or as `none` with the reason.
SCALE_TIMELINES = TableSpec(
    "scale_timelines",
    (
        *WHEN,
        ColumnSpec("pod_uid", "String", ""),
        ColumnSpec("version", "UInt64", "the highest counts"),
        ColumnSpec("scaling_id", "String", "of `scalings`; empty if no decision caused it"),
        ColumnSpec("workload", "String", "kind/namespace/name of the outermost owner"),
        ColumnSpec("by", LOW, "as in `scalings`, or none"),
        ColumnSpec("body", "String", "the timeline with the sources of its times, JSON"),
        ColumnSpec("namespace", LOW, "", computed=True),
        ColumnSpec("pod", "String", "", computed=True),
        ColumnSpec("node", LOW, "", computed=True),
        ColumnSpec("node_pool", LOW, "empty before it has a node, - without a pool", computed=True),
        ColumnSpec("status", LOW, "pending starting ready finished failed deleted not-caused",
                   computed=True),
        ColumnSpec("reason", "String", "why no decision caused it", computed=True),
        ColumnSpec("longest", LOW, "segment", computed=True),
        ColumnSpec("total_ms", "Nullable(Int64)", "from the decision to Ready", computed=True),
        ColumnSpec("created_at", "Nullable(DateTime64(3, 'UTC'))", "", computed=True),
        *(ColumnSpec(f"t_{name}", "Nullable(DateTime64(3, 'UTC'))", "", computed=True)
          for name in SCALE_TIMES),
        *(ColumnSpec(f"seg_{name}_ms", "Nullable(Int64)", "", computed=True)
          for name in SCALE_SEGMENTS),
        *WHERE,
    ),
)  # fmt: skip
