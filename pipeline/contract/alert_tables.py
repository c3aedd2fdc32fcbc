"""The table of alerts (alerts/); the others are in tables.py."""

from pipeline.contract.columns import LOW, WHEN, WHERE, ColumnSpec, TableSpec

# What the evaluator of alerts writes. Read with FINAL: one row each time that an alert began.
ALERTS = TableSpec(
    "alerts",
    (
        *WHEN,
        ColumnSpec("fingerprint", "String", "identity: rule and labels"),
        ColumnSpec("since", "DateTime64(3, 'UTC')", "its condition holds since"),
        ColumnSpec("version", "UInt32", ""),
        ColumnSpec("body", "String", "JSON, as in alerts/alert.py"),
        ColumnSpec("rule", LOW, "name of the rule", computed=True),
        ColumnSpec("severity", LOW, "critical, warning, info or none", computed=True),
        ColumnSpec("entity", "String", "what it speaks of", computed=True),
        ColumnSpec("status", LOW, "pending, firing, resolved or inactive", computed=True),
        ColumnSpec("starts_at", "DateTime64(3, 'UTC')", "it fires since", computed=True),
        ColumnSpec(
            "ends_at", "Nullable(DateTime64(3, 'UTC'))", "NULL while it goes on", computed=True
        ),
        ColumnSpec("labels", "Map(String, String)", "", computed=True),
        ColumnSpec("summary", "String", "", computed=True),
        ColumnSpec("cause", LOW, "verdict of its incident", computed=True),
        ColumnSpec("episode", "String", "id of its incident", computed=True),
        *WHERE,
    ),
)
