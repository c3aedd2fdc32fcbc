"""A cancel and the statement that it is for."""

import threading
from types import SimpleNamespace
from typing import Any

from pipeline.store.embedded.guard import Guard
from pipeline.store.embedded.session import Session
from pipeline.store.embedded.sql import parse


class Engine:
    """The first statement runs until it may end, the second one until something was killed; a kill
    takes a while and then hits what runs."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.running = ""
        self.may_end, self.second = threading.Event(), threading.Event()
        self.kills, self.may_kill = threading.Event(), threading.Event()
        self.kill_over = threading.Event()
        self.killed: list[str] = []

    def query(self, sql: str, form: str, params: object) -> Any:
        self.running = sql
        self.started.append(sql)
        if len(self.started) == 1:
            assert self.may_end.wait(60)
        else:
            self.second.set()
            assert self.kill_over.wait(60)
        self.running = ""
        return SimpleNamespace(bytes=lambda: b"")

    def set_progress_callback(self, _callback: object) -> None:
        pass

    def session(self, database: str = "") -> Session:
        raise NotImplementedError

    def kill(self, _mark: str) -> None:
        self.kills.set()
        assert self.may_kill.wait(60)
        self.killed.append(self.running)
        self.kill_over.set()


def made() -> tuple[Engine, Session]:
    engine = Engine()
    return engine, Session(engine, "mark", Guard.of([]), engine)


def test_a_cancel_that_comes_late_does_not_hit_the_next_statement() -> None:
    """The first one ends while it is being killed, and its client goes on at once."""
    engine, session = made()
    over = threading.Event()

    def client() -> None:
        list(session.answer(parse("SHOW FIRST")))
        over.set()
        list(session.answer(parse("SHOW SECOND")))

    works = threading.Thread(target=client)
    works.start()
    cancels = threading.Thread(target=session.cancel, args=(over.is_set,))
    cancels.start()
    assert engine.kills.wait(60)
    engine.may_end.set()
    engine.second.wait(0.3)  # it would begin here, and be killed
    engine.may_kill.set()
    for thread in (works, cancels):
        thread.join(60)
        assert not thread.is_alive()
    assert engine.started == ["SHOW FIRST", "SHOW SECOND"]
    assert not any("SECOND" in sql for sql in engine.killed)
    assert not session.cancelled


def test_a_cancel_of_what_is_over_does_nothing() -> None:
    engine, session = made()
    session.cancel(lambda: True)
    assert not engine.kills.is_set()
    assert not session.cancelled
