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
DEAD = Metric("kubeledger_dead_letters_total", "counter", "Dead letters.", ("reason",))
FENCED = Metric("kubeledger_fenced_total", "counter", "Partitions lost while working.")
INSERT_SECONDS = Metric("kubeledger_insert_seconds_total", "counter", "Time spent in inserts.")
INSERT_RETRIES = Metric("kubeledger_insert_retries_total", "counter", "Inserts tried again.")
CONSUMER_LAG = Metric(
    "kubeledger_consumer_lag_records", "gauge", "Records not yet confirmed.", ("partition",)
)

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
