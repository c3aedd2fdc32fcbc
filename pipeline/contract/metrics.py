"""Metric names: one closed list. Code counts through these objects only, never through strings.

Names follow Prometheus practice (`name_unit_total`); labels are few and bounded.
"""

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()


# Collector
READ_BYTES = Metric("kubeledger_read_bytes_total", "counter", "Raw bytes read from log files.")
ACKED_BYTES = Metric(
    "kubeledger_acked_bytes_total", "counter", "Raw bytes acknowledged by the broker."
)
CHUNKS = Metric("kubeledger_chunks_total", "counter", "Chunks handed to the broker's client.")
UNACKED_BYTES = Metric(
    "kubeledger_unacked_bytes", "gauge", "Raw bytes read and not yet acknowledged."
)
BACKLOG_BYTES = Metric(
    "kubeledger_backlog_bytes", "gauge", "Bytes on disk that are not yet acknowledged."
)
OLDEST_UNACKED = Metric(
    "kubeledger_oldest_unacked_seconds", "gauge", "Age of the oldest byte not yet acknowledged."
)
OPEN_FILES = Metric("kubeledger_open_files", "gauge", "Log files held open.")
HELD_BYTES = Metric(
    "kubeledger_held_deleted_bytes", "gauge", "Bytes of deleted files that are held open."
)
GAP_BYTES = Metric(
    "kubeledger_gap_bytes_total", "counter", "Bytes that were gone before read.", ("reason",)
)
IGNORED_FILES = Metric(
    "kubeledger_ignored_files", "gauge", "Names below the log roots that are no log files."
)
UNREADABLE_FILES = Metric(
    "kubeledger_unreadable_files", "gauge", "Log files that cannot be opened (rights, limits)."
)
ROTATIONS = Metric("kubeledger_rotations_total", "counter", "Files seen to be rotated.")
TIME_TO_LOSS = Metric(
    "kubeledger_time_to_loss_seconds",
    "gauge",
    "Forecast: seconds until the kubelet's rotation overruns the slowest file; +Inf if never.",
)
PRODUCE_ERRORS = Metric(
    "kubeledger_produce_errors_total", "counter", "Records that the broker refused.", ("reason",)
)
POD_VERSIONS = Metric("kubeledger_pod_versions_total", "counter", "Pod versions written.")
KUBELET_ERRORS = Metric(
    "kubeledger_kubelet_errors_total", "counter", "Failed requests to the kubelet.", ("reason",)
)
JOURNAL_ENTRIES = Metric(
    "kubeledger_journal_entries_total", "counter", "Entries read from journals.", ("log",)
)
JOURNAL_RESTARTS = Metric(
    "kubeledger_journal_restarts_total", "counter", "Ends of the program that reads the journal."
)
FORWARD_CONNECTIONS = Metric(
    "kubeledger_forward_connections", "gauge", "Fluent forward clients that are connected."
)
FORWARD_UNACKED = Metric(
    "kubeledger_forward_unacked_bytes",
    "gauge",
    "Bytes of Fluent forward clients that the bus has not acknowledged; at a bound they wait.",
)
FORWARD_EVENTS = Metric(
    "kubeledger_forward_events_total", "counter", "Events taken from Fluent forward clients."
)
FORWARD_REPEATED = Metric(
    "kubeledger_forward_repeated_chunks_total", "counter", "Chunks that came again, and were known."
)
FORWARD_REFUSED = Metric(
    "kubeledger_forward_refused_total",
    "counter",
    "Messages and connections of Fluent forward clients that were refused.",
    ("why",),
)
SAMPLES = Metric(
    "kubeledger_node_samples_total", "counter", "Samples of this node.", ("part", "outcome")
)
SAMPLES_DROPPED = Metric(
    "kubeledger_node_samples_dropped_total",
    "counter",
    "Samples that the bus was away too long for.",
)
SUSPICIOUS = Metric(
    "kubeledger_node_suspicious", "gauge", "1 while this node is sampled more often.", ("reason",)
)
BLACK_BOX_RUNS = Metric(
    "kubeledger_black_box_runs_total",
    "counter",
    "Runs of the black box, by verdict or by how they failed.",
    ("how",),
)

# Processor
ROWS = Metric("kubeledger_rows_total", "counter", "Rows stored.")
RAW_BYTES = Metric("kubeledger_processed_raw_bytes_total", "counter", "Raw bytes processed.")
BATCHES = Metric("kubeledger_batches_total", "counter", "Batches confirmed.")
RECOVERED = Metric(
    "kubeledger_recovered_batches_total", "counter", "Open ranges finished on start.", ("how",)
)
TRIMMED_BYTES = Metric(
    "kubeledger_trimmed_bytes_total", "counter", "Bytes that had been stored before."
)
UNENRICHED_ROWS = Metric(
    "kubeledger_unenriched_rows_total", "counter", "Rows stored with names from the path only."
)
PARTIAL_ROWS = Metric("kubeledger_partial_rows_total", "counter", "Rows stored as partial.")
SHED_ROWS = Metric(
    "kubeledger_shed_rows_total", "counter", "Lines not stored by their configuration.", ("reason",)
)
SHED_BYTES = Metric("kubeledger_shed_bytes_total", "counter", "Their raw bytes.", ("reason",))
REDACTED = Metric("kubeledger_redacted_total", "counter", "Secrets replaced in lines.", ("rule",))
UNPARSED_ROWS = Metric(
    "kubeledger_unparsed_rows_total", "counter", "Lines not in the named format.", ("format",)
)
DEAD = Metric("kubeledger_dead_letters_total", "counter", "Dead letters.", ("reason",))
FENCED = Metric("kubeledger_fenced_total", "counter", "Partitions lost while working.")
INSERT_SECONDS = Metric("kubeledger_insert_seconds_total", "counter", "Time spent in inserts.")
INSERT_RETRIES = Metric("kubeledger_insert_retries_total", "counter", "Inserts tried again.")
CONSUMER_LAG = Metric(
    "kubeledger_consumer_lag_records", "gauge", "Records not yet confirmed.", ("partition",)
)
SIGNALS = Metric("kubeledger_signals_total", "counter", "Signals found in log lines.", ("pattern",))
SIGNALS_UNSENT = Metric(
    "kubeledger_signals_unsent_total",
    "counter",
    "Signals that became dead letters because the event log did not take them.",
    ("pattern",),
)

# State processor
STATE_EVENTS = Metric("kubeledger_state_events_total", "counter", "Events folded.", ("kind",))
STATE_REPEATED = Metric(
    "kubeledger_state_repeated_total", "counter", "Events that had come before.", ("kind",)
)
STATE_GONE = Metric(
    "kubeledger_state_gone_total",
    "counter",
    "Events that retention removed before they were stored, or folded.",
    ("before",),
)
FACTS = Metric("kubeledger_facts_total", "counter", "Facts concluded and sent.", ("kind",))
FOLD_SECONDS = Metric("kubeledger_fold_seconds_total", "counter", "Time spent in the folds.")
STATE_BEHIND = Metric(
    "kubeledger_state_behind_seconds", "gauge", "Age of the newest event when it was folded."
)
SNAPSHOT_AGE = Metric("kubeledger_snapshot_age_seconds", "gauge", "Since the last snapshot.")
SNAPSHOT_SECONDS = Metric(
    "kubeledger_snapshot_seconds_total", "counter", "Time spent in writing snapshots."
)
SNAPSHOTS_BAD = Metric(
    "kubeledger_snapshots_unusable_total", "counter", "Snapshots not used.", ("reason",)
)

# Cluster watcher
WATCH_EVENTS = Metric(
    "kubeledger_watch_events_total", "counter", "State events written.", ("resource",)
)
WATCH_LISTS = Metric(
    "kubeledger_watch_lists_total", "counter", "Pages of lists asked for.", ("resource",)
)
WATCH_FAILURES = Metric(
    "kubeledger_watch_failures_total",
    "counter",
    "Times that a resource could no longer be seen.",
    ("resource", "outcome"),
)
WATCH_SILENT = Metric(
    "kubeledger_watch_silent_seconds",
    "gauge",
    "Since the API server said anything about it; a bookmark comes each minute.",
    ("resource",),
)
WATCH_LEADS = Metric("kubeledger_watch_leads", "gauge", "1 while this watcher leads.")
WATCH_UNACKED = Metric(
    "kubeledger_watch_unacked_records", "gauge", "State events on their way to the bus."
)

# Alerts
ALERT_VERSIONS = Metric(
    "kubeledger_alert_versions_total", "counter", "Versions of alerts recorded.", ("status",)
)
ALERTS_FIRING = Metric("kubeledger_alerts_firing", "gauge", "Alerts that fire.", ("severity",))
NOTIFICATIONS = Metric(
    "kubeledger_notifications_total",
    "counter",
    "Attempts to tell a receiver: sent, again (to be tried again), refused, given-up.",
    ("receiver", "outcome"),
)
RULE_QUERIES = Metric(
    "kubeledger_rule_queries_total", "counter", "Queries of rules: ok or failed.", ("outcome",)
)
ALERT_DELAY = Metric(
    "kubeledger_alert_delay_seconds", "gauge", "From the newest fact in the bus to its folding."
)

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Metric))

# The door of an embedded bus
DOOR_CONNECTIONS = Metric("kubeledger_door_connections", "gauge", "Collectors that are connected.")
DOOR_REFUSED = Metric(
    "kubeledger_door_refused_total", "counter", "Connections that were refused or broke.", ("why",)
)
