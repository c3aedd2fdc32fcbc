"""`kubeledger logs -f`: rows as they become queryable.

Rows are followed in the order in which they are stored, not by time: a processor that is behind
on one partition stores old lines after new ones of another, and they must still appear. Each
partition's rows are stored in the order of their source offset `ko`, one insert after the other,
so "new" is `ko` above the largest seen of the partition. An insert is not one step when it spans
midnight (two parts), therefore each look goes back to where the one before it began, and rows
that were printed by it are left out by identity (kp, ko, file, offset).

The look is bounded in time, or it would read the whole table twice a second: rows of the last
hour and newer are looked for every half second, older ones, down to the seven days that
the processor's clamp leaves, every ten seconds.

State: per time range, two positions per partition and the identities of the last look.
"""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.base.clock import Clock
from pipeline.console.log_query import LogQuery, select, where
from pipeline.console.output import LogRow
from pipeline.contract import tables
from pipeline.store.protocol import Store

POLL_S = 0.5
LATE_POLL_S = 10.0
_HOUR_NS = 3600 * 1_000_000_000
_CLAMP_NS = 7 * 24 * _HOUR_NS

_Identity = tuple[int, int, int, int]
_NEW = "ko > transform(kp, {kps:Array(UInt16)}, {kos:Array(Int64)}, toInt64(-1))"


class Tail:
    """New rows of one time range."""

    def __init__(self, store: Store, query: LogQuery, *, every_s: float) -> None:
        self.every_s = every_s
        self._store = store
        self._query = query
        self._low: dict[int, int] = {}  # the next look starts above these
        self._high: dict[int, int] = {}  # largest offset seen
        self._seen: set[_Identity] = set()

    def mark(self) -> None:
        """What is stored now is not new."""
        period = where(LogQuery(since_ns=self._query.since_ns, until_ns=self._query.until_ns))
        sql = f"SELECT kp, max(ko) FROM {tables.LOGS.name} WHERE {period.sql} GROUP BY kp"
        rows = self._store.query(sql, period.parameters).rows
        self._low = {int(kp): int(ko) for kp, ko in rows}
        self._high = dict(self._low)

    def leave_out(self, row: LogRow) -> None:
        """This one was read after `mark` and has been printed."""
        if row.ko > self._low.get(row.kp, -1):
            self._seen.add(_identity(row))

    def look(self) -> Iterator[LogRow]:
        """Rows that were not there at the last look, oldest first."""
        filters = where(self._query)
        if self._low:
            filters.add(_NEW, kps=list(self._low), kos=list(self._low.values()))
        seen: set[_Identity] = set()
        high = dict(self._high)
        sql = select(filters.sql, newest_first=False)
        for values in self._store.stream(sql, filters.parameters).rows:
            row = LogRow(*values)
            identity = _identity(row)
            high[row.kp] = max(high.get(row.kp, -1), row.ko)
            seen.add(identity)
            if identity not in self._seen:
                self._seen.add(identity)  # at once: a look that fails midway is looked again
                yield row
        self._seen = seen
        self._low, self._high = self._high, high


def _identity(row: LogRow) -> _Identity:
    return row.kp, row.ko, row.file_id, row.off


def tails(store: Store, query: LogQuery, clock: Clock) -> list[Tail]:
    """Recent rows, and older ones that may still be stored late, if `since` leaves any."""
    border = clock.wall_ns() - _HOUR_NS
    oldest = max(0, border - _CLAMP_NS)
    since = oldest if query.since_ns is None else query.since_ns
    found = [Tail(store, replace(query, since_ns=max(since, border)), every_s=POLL_S)]
    if since < border:
        late = replace(query, since_ns=max(since, oldest), until_ns=border)
        found.append(Tail(store, late, every_s=LATE_POLL_S))
    return found
