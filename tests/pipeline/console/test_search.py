"""What is printed, in which order, and what a follower does; in virtual time."""

import io
import json
from typing import Any

import pytest

from pipeline.base.clock import ManualClock
from pipeline.base.errors import Unavailable, UsageError
from pipeline.base.lifecycle import Stop
from pipeline.console.search import LogQuery, run_logs
from tests.pipeline.console.fake_store import FakeStore, log_row


class VirtualStop(Stop):
    """Waiting moves the clock; after so many waits it is set."""

    def __init__(self, clock: ManualClock, waits: int) -> None:
        super().__init__()
        self._clock = clock
        self._waits = waits

    def wait(self, seconds: float) -> bool:
        self._waits -= 1
        if self._waits < 0:
            self.set()
        self._clock.advance(seconds)
        return self.is_set()


def printed(store: FakeStore, query: LogQuery, *, waits: int = 0, **options: Any) -> list[Any]:
    out = io.StringIO()
    clock = ManualClock()
    choices: dict[str, Any] = {
        "colour": False,
        "follow": False,
        "stop": VirtualStop(clock, waits),
    } | options
    run_logs(store, query, out, json=True, clock=clock, **choices)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def bodies(documents: list[Any]) -> list[str]:
    return [document["body"] for document in documents]


NEWEST_FIRST = [log_row(ts=3, body="c"), log_row(ts=2, body="b"), log_row(ts=1, body="a")]


def test_the_newest_are_taken_and_printed_oldest_first() -> None:
    store = FakeStore(NEWEST_FIRST)
    assert bodies(printed(store, LogQuery(limit=3))) == ["a", "b", "c"]
    assert store.asked[0][0].endswith("DESC LIMIT 3")
    assert bodies(printed(FakeStore(NEWEST_FIRST), LogQuery(reverse=True))) == ["c", "b", "a"]


def test_without_a_limit_rows_are_streamed_until_stopped() -> None:
    rows = [log_row(body=str(n)) for n in range(5)]
    assert len(printed(FakeStore(rows), LogQuery(limit=0))) == 5
    stop = Stop()
    stop.set()
    assert printed(FakeStore(rows), LogQuery(limit=0), stop=stop) == []


def around(file_id: int, line: int, hit: int, ts: int = 0) -> tuple[Any, ...]:
    row = log_row(file_id=file_id, off=line * 50, ts=ts, body=f"{file_id}:{line}")
    return (*row, line, hit)


def test_context_groups_touching_rows_of_a_file_in_the_order_of_their_matches() -> None:
    matches = [log_row(file_id=1, off=250), log_row(file_id=2, off=50), log_row(file_id=2, off=450)]
    rows = [around(1, 4, 0, 70), around(1, 5, 1, 80)]
    rows += [around(2, 1, 1, 90), around(2, 2, 0), around(2, 8, 0, 10), around(2, 9, 1, 60)]
    store = FakeStore(matches, rows)
    found = printed(store, LogQuery(context=1))
    assert [(d["group"], d["body"], d["match"]) for d in found] == [
        (0, "2:8", False),
        (0, "2:9", True),
        (1, "1:4", False),
        (1, "1:5", True),
        (2, "2:1", True),
        (2, "2:2", False),
    ]
    assert store.asked[1][1] == {"files": [2, 2, 1], "offs": [450, 50, 250]}
    assert printed(FakeStore([]), LogQuery(context=1)) == []


def test_context_as_text_is_like_grep() -> None:
    store = FakeStore([log_row()], [around(1, 1, 0), around(1, 2, 1), around(2, 1, 1)])
    out = io.StringIO()
    run_logs(store, LogQuery(context=1), out, json=False, colour=False, follow=False,
             stop=Stop(), clock=ManualClock())  # fmt: skip
    lines = out.getvalue().splitlines()
    assert [line.rpartition(" http")[2] for line in lines] == ["- 1:1", ": 1:2", "--", ": 2:1"]


RECENT = LogQuery(since_ns=ManualClock().wall_ns() - 60 * 10**9)  # one time range to follow


def row(kp: int, ko: int, off: int = 0) -> Any:
    return log_row(kp=kp, ko=ko, off=off, body=f"{kp}:{ko}:{off}")


def test_following_prints_each_row_once_in_whatever_order_partitions_come() -> None:
    store = FakeStore(
        [(0, 10), (1, 70)],  # stored when it begins
        [row(0, 11), row(0, 10)],  # the newest; 0:11 came in between
        [row(0, 11), row(0, 12), row(0, 12, 50)],  # first look
        [row(0, 12), row(0, 12, 50), row(1, 71), row(2, 0)],  # late ones of other partitions
        [row(0, 12, 90), row(1, 71), row(2, 0)],  # the second part of an insert over midnight
        [row(1, 71), row(2, 0)],
    )
    found = bodies(printed(store, RECENT, waits=4, follow=True))
    assert found == ["0:10:0", "0:11:0", "0:12:0", "0:12:50", "1:71:0", "2:0:0", "0:12:90"]
    cursors = [dict(zip(p["kps"], p["kos"], strict=True)) for _, p in store.asked[2:]]
    assert cursors == [{0: 10, 1: 70}, {0: 10, 1: 70}, {0: 12, 1: 70}, {0: 12, 1: 71, 2: 0}]


def test_following_an_empty_store_starts_with_the_first_row() -> None:
    store = FakeStore([], [], [row(3, 0)], [row(3, 0), row(3, 1)])
    assert bodies(printed(store, RECENT, waits=2, follow=True)) == ["3:0:0", "3:1:0"]
    assert "kps" not in store.asked[2][1]


def test_rows_stored_late_are_looked_for_every_ten_seconds() -> None:
    old = row(0, 5)._replace(ts=1)
    looks: list[list[Any]] = [[] for _ in range(19)]
    store = FakeStore([(0, 4)], [(0, 4)], [], *looks, [], [old], [])
    found = printed(store, LogQuery(), waits=21, follow=True)
    assert bodies(found) == ["0:5:0"]
    late = [p for sql, p in store.asked[3:] if "until" in p]
    assert len(late) == 1
    assert late[0]["until"] == ManualClock().wall_ns() - 3600 * 10**9


def test_a_store_that_restarts_is_waited_for_and_repeats_nothing() -> None:
    away = Unavailable("connection refused")
    store = FakeStore(
        [(0, 1)],
        [],
        [row(0, 2), away],
        [away],
        [row(0, 2), row(0, 3)],
    )
    assert bodies(printed(store, RECENT, waits=3, follow=True)) == ["0:2:0", "0:3:0"]


def test_a_store_that_stays_away_is_an_error() -> None:
    away: list[Any] = [[Unavailable("connection refused")] for _ in range(200)]
    with pytest.raises(Unavailable):
        printed(FakeStore([(0, 1)], [], *away), RECENT, waits=300, follow=True)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (LogQuery(until_ns=1), "--until"),
        (LogQuery(context=1), "--context"),
        (LogQuery(reverse=True), "--reverse"),
    ],
)
def test_what_cannot_be_followed(query: LogQuery, name: str) -> None:
    with pytest.raises(UsageError, match=f"--follow and {name} exclude"):
        printed(FakeStore(), query, follow=True)
