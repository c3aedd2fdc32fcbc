"""`kubeledger audit`: is every byte of every file stored once, or named as missing?

Plain SQL over `logs`, `files`, `gaps`, `shed` and `dead_letters`. Per file (in uncompressed bytes):

  expected     final size from the collector's end record; for a file still open, the end of the
               last stored row
  stored       sum(nbytes) of its rows
  explained    bytes inside the union of its gap records and dead letters that are not stored
  shed         bytes of lines that are not stored by the wish of their configuration
  unexplained  expected - stored - shed - explained, when positive
  duplicates   rows minus distinct offsets; a sum that is too large counts as one as well

  exact        false when the file was gone at the collector's next look, or was not readable to
               its end: what was written behind `expected` is missing, and nobody knows how much
               it was; `behind` says why

  expired      bytes of rows that were kept for a short time and are gone (table `expiring`); or
               bytes before the first row that is still there, of a file opened so long ago that
               its first rows may be past the table's retention; not expected any more

The sum alone could hide one hole behind one repeat, the distinct offsets show the repeat.

A file that is still open can look incomplete for a moment: a line whose last part has not come
is held back by the processor while later lines of the other stream are stored already. Findings
are therefore asked for again after `settle_s`; only what stays is reported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from pipeline.base.clock import Clock
from pipeline.store.protocol import Store

_FILES = """
WITH
  touched AS (
    SELECT DISTINCT file_id FROM {db}.logs WHERE ts >= {{since:DateTime64(9, 'UTC')}} {of_node}
    UNION DISTINCT
    SELECT DISTINCT file_id FROM {db}.files WHERE ts >= {{since:DateTime64(9, 'UTC')}} {of_node}
    UNION DISTINCT
    SELECT DISTINCT file_id FROM {db}.gaps WHERE ts >= {{since:DateTime64(9, 'UTC')}} {of_node}
    UNION DISTINCT
    SELECT DISTINCT file_id FROM {db}.shed WHERE ts >= {{since:DateTime64(9, 'UTC')}} {of_node}
    UNION DISTINCT
    SELECT DISTINCT file_id FROM {db}.dead_letters
    WHERE ts >= {{since:DateTime64(9, 'UTC')}} AND file_id != 0 {of_nodes_files}
  ),
  stored AS (
    SELECT file_id, count() AS row_count, uniqExact(off) AS offsets, sum(nbytes) AS bytes,
           max(off + nbytes + interleaved) AS high, min(off) AS low,
           any(node) AS node, any(namespace) AS namespace, any(pod) AS pod,
           any(container) AS container
    FROM {db}.logs WHERE file_id IN (SELECT file_id FROM touched) GROUP BY file_id
  ),
  announced AS (
    SELECT file_id, countIf(event = 'end') AS ends, maxIf(size, event = 'end') AS size,
           argMaxIf(f.exact, (f.size, f.exact), event = 'end') AS exact,
           minIf(f.ts, event = 'open') AS opened, countIf(event = 'open') AS opens,
           anyLast(path) AS path, any(node) AS node, any(namespace) AS namespace,
           any(pod) AS pod, any(container) AS container
    FROM {db}.files AS f WHERE file_id IN (SELECT file_id FROM touched) GROUP BY file_id
  ),
  unwanted AS (
    SELECT file_id, sum(x.bytes) AS bytes, max(x.high) AS high, groupUniqArray(x.reason) AS why,
           any(node) AS node, any(namespace) AS namespace, any(pod) AS pod,
           any(container) AS container, any(path) AS path
    FROM {db}.shed AS x WHERE file_id IN (SELECT file_id FROM touched) GROUP BY file_id
  ),
  missing AS (
    SELECT file_id, start AS low, stop AS high, reason FROM {db}.gaps
    WHERE file_id IN (SELECT file_id FROM touched)
    UNION ALL
    SELECT file_id, off AS low, off + nbytes AS high, concat('dead-letter:', reason) AS reason
    FROM {db}.dead_letters WHERE file_id IN (SELECT file_id FROM touched)
  ),
  behind AS (
    SELECT file_id, max(stop) AS high, argMax(reason, stop) AS why FROM {db}.gaps
    WHERE exact = 0 AND file_id IN (SELECT file_id FROM touched) GROUP BY file_id
  ),
  holes AS (
    SELECT file_id, reason, greatest(low, coalesce(max(high) OVER (
             PARTITION BY file_id ORDER BY low, high
             ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)) AS low, high
    FROM missing
  ),
  filled AS (
    SELECT h.file_id AS file_id, h.low AS low, sum(l.nbytes) AS bytes
    FROM (SELECT file_id, low, high FROM holes WHERE high > low) AS h
    INNER JOIN (
      SELECT file_id, off, nbytes FROM {db}.logs WHERE file_id IN (SELECT file_id FROM missing)
    ) AS l ON h.file_id = l.file_id
    WHERE l.off >= h.low AND l.off < h.high
    GROUP BY h.file_id, h.low
  ),
  lapsing AS (
    SELECT file_id, sum(bytes) AS bytes FROM {db}.expiring
    WHERE day < {{short:Date}} AND file_id IN (SELECT file_id FROM touched) GROUP BY file_id
  ),
  lingering AS (
    SELECT file_id, sum(nbytes) AS bytes FROM {db}.logs
    WHERE retention = 'short' AND toDate(ts) < {{short:Date}}
      AND file_id IN (SELECT file_id FROM lapsing) GROUP BY file_id
  ),
  explained AS (
    SELECT h.file_id AS file_id,
           sum(greatest(toInt64(h.high - h.low) - toInt64(coalesce(f.bytes, 0)), 0)) AS bytes,
           groupUniqArray(h.reason) AS reasons
    FROM (SELECT * FROM holes WHERE high > low) AS h
    LEFT JOIN filled AS f ON h.file_id = f.file_id AND h.low = f.low
    GROUP BY h.file_id
  )
SELECT
  lower(leftPad(hex(t.file_id), 16, '0')) AS file,
  multiIf(s.node != '', s.node, a.node != '', a.node, u.node) AS node,
  multiIf(s.namespace != '', s.namespace, a.namespace != '', a.namespace, u.namespace)
    AS namespace,
  multiIf(s.pod != '', s.pod, a.pod != '', a.pod, u.pod) AS pod,
  multiIf(s.container != '', s.container, a.container != '', a.container, u.container)
    AS container,
  if(a.path != '', a.path, u.path) AS path,
  a.ends > 0 AS ended,
  greatest(if(a.ends > 0, a.size, 0), s.high, u.high) AS expected,
  u.bytes AS shed,
  u.why AS shed_reasons,
  s.bytes AS stored,
  s.row_count AS row_count,
  e.bytes AS explained,
  e.reasons AS reasons,
  s.row_count - s.offsets AS repeats,
  a.ends = 0 OR a.exact > 0 AS exact,
  if(b.high >= expected, b.why, '') AS behind,
  a.opens > 0 AND a.opened < {{horizon:DateTime64(3, 'UTC')}} AS old,
  s.low AS low,
  toInt64(p.bytes) - toInt64(g.bytes) AS lapsed
FROM touched AS t
LEFT JOIN stored AS s ON t.file_id = s.file_id
LEFT JOIN announced AS a ON t.file_id = a.file_id
LEFT JOIN unwanted AS u ON t.file_id = u.file_id
LEFT JOIN explained AS e ON t.file_id = e.file_id
LEFT JOIN behind AS b ON t.file_id = b.file_id
LEFT JOIN lapsing AS p ON t.file_id = p.file_id
LEFT JOIN lingering AS g ON t.file_id = g.file_id
ORDER BY namespace, pod, container, path, file
SETTINGS use_query_condition_cache = 0
"""

# Dead letters do not say their node; the announcement of their file does.
_OF_NODE = "AND node = {node:String}"
_OF_NODES_FILES = "AND file_id IN (SELECT file_id FROM {db}.files WHERE node = {{node:String}})"


@dataclass(frozen=True, slots=True)
class FileAudit:
    """One file's account, in bytes; see the module's text."""

    file: str
    node: str
    namespace: str
    pod: str
    container: str
    path: str
    ended: bool
    expected: int
    stored: int
    rows: int
    explained: int
    reasons: tuple[str, ...]
    repeats: int
    exact: bool
    expired: int
    shed: int = 0
    shed_reasons: tuple[str, ...] = ()
    behind: str = ""

    @property
    def inexact(self) -> str:
        """Why nobody knows what was written behind `expected`; empty if that is known."""
        return "" if self.exact else self.behind or "deleted before it was looked at again"

    @property
    def unexplained(self) -> int:
        return max(self.expected - self.expired - self.stored - self.shed - self.explained, 0)

    @property
    def duplicates(self) -> int:
        """Rows that are there more than once; at least 1 when there are more bytes than the
        file has."""
        accounted = self.stored + self.shed + self.explained
        too_much = accounted > self.expected and not self.expired
        return max(self.repeats, int(too_much))

    @property
    def verdict(self) -> str:
        if self.duplicates:
            return "duplicate"
        if self.unexplained:
            return "unexplained"
        if self.expired:
            return "expired"
        if not self.ended:
            return "open"
        return "gaps" if self.explained or not self.exact else "complete"


@dataclass(frozen=True, slots=True)
class Audit:
    """All files. `gaps` and `unexplained` count files in `counts`, bytes in `*_bytes`."""

    files: tuple[FileAudit, ...]

    @property
    def bad(self) -> tuple[FileAudit, ...]:
        return tuple(f for f in self.files if f.verdict in ("unexplained", "duplicate"))

    def summary(self) -> dict[str, Any]:
        """What `--json` prints first: counts of files by verdict, and bytes."""
        return {
            "ok": not self.bad,
            "files": len(self.files),
            "complete": sum(f.verdict == "complete" for f in self.files),
            "open": sum(f.verdict == "open" for f in self.files),
            "expired": sum(f.verdict == "expired" for f in self.files),
            "gaps": sum(f.explained > 0 or not f.exact for f in self.files),
            "inexact": sum(not f.exact for f in self.files),
            "unexplained": sum(f.unexplained > 0 for f in self.files),
            "duplicates": sum(f.duplicates for f in self.files),
            "rows": sum(f.rows for f in self.files),
            "stored_bytes": sum(f.stored for f in self.files),
            "shed_bytes": sum(f.shed for f in self.files),
            "gap_bytes": sum(f.explained for f in self.files),
            "unexplained_bytes": sum(f.unexplained for f in self.files),
        }

    def document(self) -> dict[str, Any]:
        details = [asdict(f) | {"unexplained": f.unexplained, "verdict": f.verdict}
                   for f in self.files]  # fmt: skip
        return self.summary() | {"details": details}


def audit(
    store: Store,
    *,
    database: str,
    since_ns: int,
    clock: Clock,
    node: str | None = None,
    retention_days: int = 14,
    short_days: int = 3,
    settle_s: float = 15.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Audit the files that had rows, ends, gaps or dead letters at or after `since_ns` (Unix ns;
    0: all), those of one `node` if it is given. `retention_days` is that of table `logs`,
    `short_days` that of its rows that are kept for a short time. A
    finding must stay for `settle_s` seconds to be reported."""
    # A row's time may be moved back by up to 7 days on its way in, so it may go that much earlier.
    safe_days = max(retention_days - 8, 0)
    horizon_ns = max(clock.wall_ns() - safe_days * 86_400 * 10**9, 0)
    short = clock.wall_ns() // 10**9 // 86_400 - min(short_days, retention_days)
    files = _read(store, database, since_ns, horizon_ns, short, node)
    deadline = clock.monotonic() + settle_s
    while _suspects(files) and clock.monotonic() < deadline:
        progress(f"{len(_suspects(files))} files look unfinished; asking again")
        clock.sleep(min(2.0, settle_s))
        files = _read(store, database, since_ns, horizon_ns, short, node)
    return Audit(tuple(files))


def _suspects(files: Sequence[FileAudit]) -> list[FileAudit]:
    return [f for f in files if f.unexplained or f.duplicates]


def _read(
    store: Store, database: str, since_ns: int, horizon_ns: int, short: int, node: str | None
) -> list[FileAudit]:
    parameters: dict[str, Any] = {
        "since": f"{since_ns // 10**9}.{since_ns % 10**9:09d}",
        "short": str(date(1970, 1, 1) + timedelta(days=short)),
        "horizon": f"{horizon_ns // 10**9}.{horizon_ns // 10**6 % 1000:03d}",
    }
    limits = {"of_node": "", "of_nodes_files": ""}
    if node is not None:
        parameters["node"] = node
        limits = {"of_node": _OF_NODE, "of_nodes_files": _OF_NODES_FILES.format(db=database)}
    result = store.query(_FILES.format(db=database, **limits), parameters)
    return [_file(dict(zip(result.names, row, strict=True))) for row in result.rows]


def _file(row: Mapping[str, Any]) -> FileAudit:
    expected, rows = int(row["expected"]), int(row["row_count"])
    gone = (int(row["low"]) if rows else expected) if row["old"] else 0
    return FileAudit(
        file=row["file"],
        node=row["node"],
        namespace=row["namespace"],
        pod=row["pod"],
        container=row["container"],
        path=row["path"],
        ended=bool(row["ended"]),
        expected=expected,
        stored=int(row["stored"]),
        rows=rows,
        explained=int(row["explained"]),
        reasons=tuple(row["reasons"]),
        repeats=int(row["repeats"]),
        exact=bool(row["exact"]),
        expired=max(gone, int(row["lapsed"])),
        shed=int(row["shed"]),
        shed_reasons=tuple(row["shed_reasons"]),
        behind=row["behind"],
    )
