"""Tables of the fold of capacity (pipeline/elasticity/capacity.py); the others are in tables.py."""

from pipeline.contract.columns import LOW, WHEN, WHERE, ColumnSpec, TableSpec


def _figures(type_name: str, *names: tuple[str, str]) -> tuple[ColumnSpec, ...]:
    return tuple(ColumnSpec(name, type_name, meaning, computed=True) for name, meaning in names)


# A row holds until the next one of its pool or HPA, which comes within ten minutes; `ts` is the end
# of the minute.
CAPACITY_1M = TableSpec(
    "capacity",
    (
        *WHEN,
        ColumnSpec("pool", LOW, "node pool; `-` for nodes without one"),
        ColumnSpec("body", "String", "JSON"),
        *_figures(
            "UInt32",
            ("nodes", ""),
            ("nodes_ready", ""),
            ("nodes_cordoned", ""),
        ),
        *_figures(
            "UInt64",
            ("allocatable_cpu_m", "millicores of all nodes"),
            ("allocatable_memory", "bytes of all nodes"),
            ("usable_cpu_m", "of nodes that are Ready and not cordoned"),
            ("usable_memory", ""),
            ("requested_cpu_m", "of pods that are bound and have not ended"),
            ("requested_memory", ""),
        ),
        *_figures(
            "UInt32",
            ("pods", "bound to a node, not ended"),
            ("pods_pending", "without a node; of the pool that their node selector names"),
        ),
        *_figures(
            "UInt64",
            ("lost_cpu_m", "allocatable of nodes that are not Ready"),
            ("lost_memory", ""),
        ),
        *_figures("UInt32", ("short_lived", "nodes removed in the last hour, younger than 30 m")),
        *WHERE,
    ),
)

HPA_1M = TableSpec(
    "hpa_1m",
    (
        *WHEN,
        ColumnSpec("namespace", LOW, ""),
        ColumnSpec("name", "String", ""),
        ColumnSpec("body", "String", "JSON"),
        *_figures("String", ("target", "workload entity")),
        *_figures(
            "UInt32",
            ("min", ""),
            ("max", ""),
            ("current", "status.currentReplicas: of the target's spec, not of its pods"),
            ("desired", ""),
        ),
        *_figures("Nullable(UInt32)", ("ready", "ready pods of the target; NULL: unknown")),
        *_figures("UInt8", ("limited", "ScalingLimited; TooFewReplicas is normal")),
        *_figures(LOW, ("limited_reason", "TooManyReplicas, ScaleUpLimit … or empty")),
        *_figures("Float64", ("maxed_s", "seconds of the minute at max, held there")),
        *_figures("UInt32", ("reversals", "changes of direction of `desired` in the last hour")),
        *WHERE,
    ),
)

DRAINS = TableSpec(
    "drains",
    (
        *WHEN,  # ts: of this version
        ColumnSpec("id", "String", ""),
        ColumnSpec("version", "UInt32", "1, 2, 3…; the highest counts"),
        ColumnSpec("node", LOW, ""),
        ColumnSpec("body", "String", "the whole version, JSON"),
        *_figures("DateTime64(3, 'UTC')", ("started_at", "when it was cordoned")),
        *_figures("Nullable(DateTime64(3, 'UTC'))", ("ended_at", "NULL while it goes on")),
        *_figures(LOW, ("status", "cordoned evicting blocked empty removed uncordoned")),
        *_figures("UInt32", ("evicted", "pods"), ("blocked", "pods that had to wait")),
        *_figures("Array(String)", ("blocked_by", "budgets namespace/name, or what else")),
        *WHERE,
    ),
)
