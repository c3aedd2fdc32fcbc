"""What the log processor does when things go wrong, case by case."""

import dataclasses
import itertools

import pytest

from pipeline.base.errors import Fatal, Unavailable
from pipeline.broker.protocol import Commit, TopicPartition
from pipeline.contract.record import Gap, PodVersion, encode_headers, encode_pod
from pipeline.contract.tables import CONTINUES, PARTIAL
from pipeline.contract.topics import LOG_GROUP, LOGS, PODS
from pipeline.logs_config import DeadLetterLimits, LineLimits, MultilineSetting
from pipeline.processor.metadata import CarryNote, Declared, Progress, read_progress
from pipeline.replay import replay_dead
from pipeline.stages.carry import CarryEntry
from tests.models.processor_rig import Crash, World, check_exactly_once, settings, source

A = b"2026-11-23T05:35:03.1Z stdout F one\n"
B = b"2026-11-23T05:35:04.1Z stderr F two\n"
P = b"2026-11-23T05:35:05.1Z stdout P begin \n"
F = b"2026-11-23T05:35:06.1Z stdout F and end\n"
TP = TopicPartition(LOGS, 0)


def single(**changes) -> World:
    return World(partitions=1, config=settings(**changes))


def committed(world: World) -> Progress:
    consumer = world.bus.consumer(LOG_GROUP)
    found = consumer.committed(TP)
    consumer.close()
    assert found is not None
    return read_progress(TP, found)


def crash_at(world: World, where: str) -> None:
    """The next member dies just there, and its successor finds what it left."""

    def tick(here: str) -> None:
        if here == where:
            world._tick = world.store.tick = quiet
            raise Crash

    def quiet(_here: str) -> None:
        return

    world._tick = world.store.tick = tick
    member = world.member()
    assert not world.step(member, 40)
    world.clock.advance(60)


@pytest.mark.parametrize("where", ["after commit", "before insert", "after insert"])
def test_a_declared_batch_is_finished_by_the_next_owner_under_its_token(where):
    world = single()
    world.write(1, A + P)
    world.write(1, B + F)
    crash_at(world, where)
    assert committed(world).open is not None
    world.member()
    world.settle()
    check_exactly_once(world)
    assert len(world.store.tokens) == 1
    assert committed(world).open is None


def test_after_a_long_time_only_what_is_missing_is_inserted():
    world = single()
    world.write(1, A + B + A)
    crash_at(world, "after insert")
    world.store.tokens.clear()
    del world.store.rows()[1]  # one part of the block did not survive
    world.clock.advance(20 * 3600)
    world.member()
    world.settle()
    check_exactly_once(world)
    assert any("/rest-" in token for _, token in world.store.tokens)


def test_a_batch_that_would_be_built_otherwise_is_compared_with_what_is_stored():
    """The configuration changed between the attempts: rows have other borders now."""
    world = single()
    trace = b"".join(
        b"2026-11-23T05:35:03.%dZ stdout F %s\n" % (i, line)
        for i, line in enumerate([b"java.lang.Error: x", b"\tat a.b(c.java:1)", b"done"])
    )
    world.write(1, trace)
    crash_at(world, "after insert")
    rules = [MultilineSetting(pattern="java")]
    world.config = world.config.model_copy(update={"multiline": rules})
    world.member()
    world.settle()
    assert "batch.differs" in world.telemetry.names()
    check_exactly_once(world)


def test_records_that_retention_removed_are_named_and_the_rest_is_stored():
    world = single()
    world.write(1, A + P)
    crash_at(world, "before insert")
    world.clock.advance(3 * 24 * 3600)
    world.bus.maintain()
    world.files.clear()
    world.write(2, B)
    world.member()
    world.settle()
    check_exactly_once(world)
    gone = [row for row in world.store.rows("dead_letters") if row["reason"] == b"records-gone"]
    assert [row["ko"] for row in gone] == [0]
    assert b"0 of" in gone[0]["detail"]


def test_a_topic_that_was_made_anew_stops_the_service():
    world = single()
    member = world.member()
    world.write(1, A)
    world.settle()
    member.crew.consumer.commit({TP: Commit(99, "")})
    member.close()
    world.members.clear()
    with pytest.raises(Fatal, match="made anew"):
        world.step(world.member(), 20)


def test_a_commit_that_is_not_understood_stops_the_service():
    for text in ('{"v": 7}', "hello", '{"v":1,"b":3}', '{"v":1,"need":0,"carry":"zz"}'):
        with pytest.raises(Fatal, match="not understood"):
            read_progress(TP, Commit(5, text))
    assert read_progress(TP, Commit(5, "")) == Progress(5, CarryNote(5))


def test_progress_survives_being_written_down():
    carry = CarryNote.of(
        [
            CarryEntry(7, 300_000, 1, 900),
            CarryEntry(9, 4, 2, 999, cut=True, ts=-5, fragment=True),
            CarryEntry(9, 0, 0, 999, ts=6),
        ],
        start=12,
        base_ms=1000,
    )
    progress = Progress(12, carry, Declared(12, 11, 3, 4, 5, "ab" * 8, split=True))
    assert read_progress(TP, progress.commit()) == progress
    assert [entry.ts for entry in carry.entries()] == [0, -5, 6]
    assert carry.need == 7


def test_four_hundred_unfinished_lines_fit_into_the_commit_or_are_stored_as_partial():
    world = single(rows=500_000)
    for file_id in range(1, 700):
        world.write(file_id, P)
    world.member()
    world.settle()
    for file_id in range(1, 700):
        world.end(file_id)
    world.settle()
    check_exactly_once(world)


def test_an_unfinished_line_is_stored_when_nothing_follows():
    world = single(lines=LineLimits(hold_s=5))
    world.member()
    world.write(1, P)
    world.settle()
    rows = world.store.rows()
    assert [(row["body"], row["flags"]) for row in rows] == [(b"begin ", 1)]


def test_too_many_dead_letters_stop_the_service_before_they_are_sent():
    world = single(rows=50, dead_letters=DeadLetterLimits(count=3, share=0.5))
    for _ in range(5):
        world.put(1, b"x", (("v", b"9"),))
    with pytest.raises(Fatal, match="dead letters"):
        world.step(world.member(), 40)
    assert world.store.rows("dead_letters") == []
    assert not replay_dead(world.bus, clock=world.clock)


def test_few_bad_records_among_many_good_ones_do_not_stop_it():
    world = single(rows=3, dead_letters=DeadLetterLimits(count=1, share=0.5))
    for _ in range(4):
        world.write(1, A + B)
    world.put(1, b"x", (("v", b"9"),))
    world.put(1, b"x", ())
    world.member()
    world.settle()
    reasons = sorted(row["reason"] for row in world.store.rows("dead_letters"))
    assert reasons == [b"bad-record", b"unknown-version"]
    check_exactly_once(world)


def test_a_damaged_chunk_is_put_aside_and_what_follows_is_stored():
    world = single()
    world.member()
    world.write(1, A)
    world.write(1, B, crc=5)
    world.write(1, A)
    world.settle()
    dead = world.store.rows("dead_letters")
    assert [(d["reason"], d["off"], d["nbytes"]) for d in dead] == [
        (b"bad-checksum", len(A), len(B))
    ]
    assert sum(row["nbytes"] for row in world.store.rows()) == 2 * len(A)
    for _ in range(2):  # putting back what is damaged makes the same letter again, no row
        assert replay_dead(world.bus, clock=world.clock) == {"bad-checksum": 1}
        world.settle()
    assert sum(row["nbytes"] for row in world.store.rows()) == 2 * len(A)


def forget_what_was_put_back(world: World) -> None:
    reset = world.bus.consumer("kubeledger-replay")
    reset.subscribe(["kubeledger.dead"], on_assigned=lambda _: None, on_revoked=lambda _: None)
    reset.poll(0.1)
    reset.commit({TopicPartition("kubeledger.dead", 0): Commit(0, "")})
    reset.close()


def test_a_letter_put_back_twice_makes_one_row():
    world = single()
    world.member()
    world.write(1, A + b"2026-11-23T05:35:07Z stdout F REFUSE me\n" + B)
    world.settle()
    assert len(world.store.rows()) == 2
    world.store.refusing = False
    assert replay_dead(world.bus, reason="other", clock=world.clock) == {}
    assert replay_dead(world.bus, reason="row-refused", clock=world.clock) == {"row-refused": 1}
    forget_what_was_put_back(world)
    assert replay_dead(world.bus, clock=world.clock) == {"row-refused": 1}
    world.settle()
    check_exactly_once(world)


@pytest.mark.parametrize("head", [A[:-4], B[:-4], b""])
def test_the_refused_rest_of_a_long_line_comes_back(head):
    """The letter holds the rest without its header: only the letter knows its stream."""
    world = single(lines=LineLimits(row_bytes=1024))
    world.member()
    world.write(1, A + head + b"a" * 1024 + b"REFUSE me\n" + B)
    world.settle()
    assert len(world.store.rows()) == 3
    world.store.refusing = False
    for _ in range(2):  # the second processor does not remember what the first put back
        assert replay_dead(world.bus, clock=world.clock) == {"row-refused": 1}
        world.settle()
        forget_what_was_put_back(world)
        world.members.pop().close()
        world.member()
    rows = sorted(world.store.rows(), key=lambda row: row["off"])
    assert [row["body"] for row in rows] == [b"one", b"a" * 1024, b"REFUSE me", b"two"]
    assert rows[2]["stream"] == rows[1]["stream"]
    assert rows[2]["flags"] == CONTINUES | rows[1]["flags"] & ~PARTIAL
    assert sum(row["nbytes"] for row in rows) == len(world.files[1])


def test_a_store_that_is_away_for_minutes_costs_no_partition():
    world = single()
    world.member()
    world.write(1, A + B)
    calls = []

    def tick(where: str) -> None:
        if where == "before insert" and len(calls) < 60:
            calls.append(world.clock.monotonic())
            raise Unavailable("the store is away")

    world.store.tick = tick
    world.settle()
    check_exactly_once(world)
    assert calls[-1] - calls[0] > 300
    assert "fenced" not in world.telemetry.names()


def test_stopping_while_the_store_is_away_leaves_the_batch_for_the_next_start():
    world = single()
    member = world.member()
    world.write(1, A)

    def tick(where: str) -> None:
        if where == "before insert":
            member.crew.link._stop.set()
            raise Unavailable("the store is away")

    world.store.tick = tick
    world.step(member, 30)
    member.finish()
    member.close()
    world.members.clear()
    assert committed(world).open is not None
    world.store.tick = world._tick
    world.member()
    world.settle()
    check_exactly_once(world)


def test_a_pod_version_is_waited_for_and_joined():
    world = single()
    world.config = world.config.model_copy(update={"pod_wait_s": 2.0})
    member = world.member()
    world.write(1, A, pod_version=5)
    world.write(2, A, pod_version=5)
    world.step(member, 5)
    assert world.store.rows() == []
    pod = PodVersion("uid-1", "web-1", "shop", "node-1", 6)
    world.producer.send(PODS, key=b"uid-1", value=encode_pod(pod)).result(0)
    world.producer.send(PODS, key=b"uid-9", value=b"not a pod").result(0)
    world.settle()
    found = {row["file_id"]: (row["enriched"], row["workload"]) for row in world.store.rows()}
    assert found == {1: (1, b"Pod/web-1"), 2: (0, b"")}
    assert [row["pod_uid"] for row in world.store.rows("pods")] == [b"uid-1"]
    assert "pods.bad" in world.telemetry.names()


def test_a_gap_is_recorded_once_and_ends_what_was_open():
    world = single()
    world.member()
    world.write(1, P)
    gap = Gap(source(1), 1, "gap", len(P), len(P) + 500, "rotated-away", exact=True, seen_ms=1)
    for _ in range(2):
        world.put(1, b"", encode_headers(gap))
    world.settle()
    assert [(g["start"], g["stop"]) for g in world.store.rows("gaps")] == [(len(P), len(P) + 500)]
    assert [row["flags"] for row in world.store.rows()] == [1]


def test_a_gap_of_unknown_length_says_why():
    """The rest of a damaged archive: it begins where it ends, and has a reason all the same."""
    world = single()
    world.member()
    world.write(1, A)
    gap = Gap(source(1), 1, "gap", len(A), len(A), "unreadable", exact=False, seen_ms=1)
    world.put(1, b"", encode_headers(gap))
    world.settle()
    assert [(g["start"], g["stop"], g["reason"]) for g in world.store.rows("gaps")] == [
        (len(A), len(A), b"unreadable")
    ]
    assert len(world.store.rows()) == 1


def test_a_wrong_clock_is_moved_into_the_window_and_kept():
    world = single()
    world.member()
    world.write(1, A.replace(b"2026", b"1999"))
    world.settle()
    row = world.store.rows()[0]
    age = world.clock.wall_ns() - row["ts"]
    assert 7 * 86_400 * 10**9 <= age < 7 * 86_400 * 10**9 + 3600 * 10**9
    assert row["flags"] == 2
    assert row["ts"] + row["ts_shift"] == 943_335_303_100_000_000


def test_health_says_when_records_wait_and_nothing_moves():
    world = single()
    member = world.member()
    assert member.crew.health() is None
    world.write(1, A)

    def tick(where: str) -> None:
        if where == "before insert":
            seen.append(member.crew.health())
            raise Unavailable("the store is away")

    seen: list[str | None] = []
    world.store.tick = tick
    world.clock.advance(1)
    member.crew.link._stop = Stopper(world.clock, 400)
    world.step(member, 40)
    assert seen[0] is None
    assert "none was confirmed for" in str(seen[-1])


@dataclasses.dataclass
class Stopper:
    """Asks to stop at a time."""

    clock: object
    after: float

    def is_set(self) -> bool:
        return self.clock.monotonic() > 1000 + self.after


def test_a_batch_ends_early_when_headers_say_too_few_lines():
    """Collectors do not count lines; a chunk of short ones must not make a block too large."""
    world = single(rows=10)
    world.member()
    for _ in range(6):
        world.write(1, (A + B) * 4, lines=0)
    world.settle()
    check_exactly_once(world)
    largest = max(len(list(group)) for group in batches(world))
    assert largest <= 16


def batches(world: World):
    """Rows by the block they came in."""
    first = [int(token.split(":")[2].split("-")[0]) for _, token in world.store.tokens]
    rows = world.store.rows()
    for start, stop in itertools.pairwise([*sorted(first), 10**6]):
        yield [row for row in rows if start <= row["ko"] < stop]
