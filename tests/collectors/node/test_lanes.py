"""Requests on threads of their own: what hangs delays nothing, and costs one thread. Deadlines are
over when the test says so."""

import threading
import time
from collections.abc import Callable

from collectors.node.lanes import Lanes
from collectors.node.ports import Answer, Instant, Request
from pipeline.base.clock import ManualClock
from pipeline.contract import state


def request(part: str, number: int = 1, *, deadline_s: float = 5, patient: bool = False) -> Request:
    now = Instant(0.0, 0)
    return Request(f"n:{part}:{number}", part, f"/{part}", now, deadline_s, patient=patient)


def prompt(asked: Request) -> Answer:
    return Answer(asked, state.OK, 1, 200, b"ok")


def collect(lanes: Lanes, count: int, seconds: float = 60) -> list[Answer]:
    found: list[Answer] = []
    until = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < until:
        found += lanes.wait(0.05)
    return found


def come_back(lane: str) -> None:
    """Wait for the thread of a lane."""
    for thread in threading.enumerate():
        if thread.name == f"node-{lane}":
            thread.join(60)
            assert not thread.is_alive()


def test_each_answer_arrives_once() -> None:
    lanes = Lanes({"a": prompt, "b": prompt}, ManualClock())
    for part in ("a", "b"):
        lanes.ask(request(part))
    assert {a.request.id for a in collect(lanes, 2)} == {"n:a:1", "n:b:1"}
    come_back("a")
    come_back("b")
    assert lanes.wait(0) == []


def test_a_hanging_worker_delays_no_other_and_is_answered_for() -> None:
    released, started = threading.Event(), list[str]()

    def hang(asked: Request) -> Answer:
        started.append(asked.id)
        released.wait()
        return Answer(asked, state.OK, 1)

    clock = ManualClock()
    lanes = Lanes({"host": hang, "a": prompt}, clock)
    lanes.ask(request("host", 1))
    lanes.ask(request("a"))
    assert [a.request.part for a in collect(lanes, 1)] == ["a"]
    clock.advance(6)
    (late,) = collect(lanes, 1)
    assert (late.request.id, late.outcome) == ("n:host:1", state.TIMEOUT)
    lanes.ask(request("host", 2))
    (again,) = collect(lanes, 1)
    assert (again.request.id, again.outcome) == ("n:host:2", state.TIMEOUT)
    assert "has not come back" in again.detail
    released.set()
    come_back("host")
    assert started == ["n:host:1"]  # one thread hung, not one a round
    assert lanes.wait(0) == []  # its answer is too late
    lanes.ask(request("host", 3))
    (fine,) = collect(lanes, 1)
    assert (fine.request.id, fine.outcome) == ("n:host:3", state.OK)


def test_the_patient_request_has_a_lane_of_its_own() -> None:
    released = threading.Event()

    def patient_hangs(asked: Request) -> Answer:
        if asked.patient:
            released.wait()
        return prompt(asked)

    lanes = Lanes({"metrics": patient_hangs}, ManualClock())
    lanes.ask(request("metrics", 1, patient=True))
    lanes.ask(request("metrics", 2))
    assert [a.request.id for a in collect(lanes, 1)] == ["n:metrics:2"]
    released.set()
    assert [a.request.id for a in collect(lanes, 1)] == ["n:metrics:1"]


def test_a_worker_that_fails_is_heard_of() -> None:
    def broken(asked: Request) -> Answer:
        raise RuntimeError("no such thing")

    lanes = Lanes({"a": broken}, ManualClock())
    lanes.ask(request("a"))
    (answer,) = collect(lanes, 1)
    assert answer.outcome == state.UNREADABLE
    assert answer.detail == "RuntimeError: no such thing"


def test_wake_ends_a_wait() -> None:
    lanes = Lanes({}, ManualClock())
    timer = threading.Timer(0.05, lanes.wake)
    timer.start()
    assert lanes.wait(3600) == []  # longer than a test may last
    timer.join()


def test_an_answer_of_yesterday_is_not_todays() -> None:
    """The ids decide, not the lanes."""
    gates: dict[str, threading.Event] = {"n:a:1": threading.Event(), "n:a:2": threading.Event()}
    done: Callable[[Request], Answer] = prompt

    def gated(asked: Request) -> Answer:
        gates[asked.id].wait()
        return done(asked)

    clock = ManualClock()
    lanes = Lanes({"a": gated}, clock)
    lanes.ask(request("a", 1))
    clock.advance(6)
    assert collect(lanes, 1)[0].outcome == state.TIMEOUT
    gates["n:a:1"].set()
    come_back("a")
    lanes.ask(request("a", 2))
    gates["n:a:2"].set()
    assert [(a.request.id, a.outcome) for a in collect(lanes, 1)] == [("n:a:2", state.OK)]
