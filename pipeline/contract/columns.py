"""What a table of the contract is made of, and the columns that several of them share."""

from dataclasses import dataclass

LOW = "LowCardinality(String)"


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


# What the state processor writes. Rows of these tables stand for records of kubeledger.state: `kp`
# and `ko` are its partition and offset. Times are milliseconds; a time outside [now - 7 d,
# now + 1 h] is moved to the edge, the original is ts + ts_shift.
WHEN = (
    ColumnSpec("ts", "DateTime64(3, 'UTC')", "when it was observed"),
    ColumnSpec("ts_shift", "Int64", "ms to add to ts for the original time; 0 if not moved"),
    ColumnSpec("cluster", LOW, "k8s.cluster.name"),
)
WHERE = (
    ColumnSpec("kp", "UInt16", ""),
    ColumnSpec("ko", "UInt64", ""),
)
