"""Packages whose `__init__` runs when it is needed."""

import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.lean import enter

NAME = "lean_package_of_tests"
INIT = """
import lean_gate_of_tests as gate
gate.runs += 1
gate.began.set()
assert gate.may_end.wait(60)
from lean_package_of_tests.inner import whole
from lean_package_of_tests.part import HERE
Class = type("Class", (), {})
"""
INNER = """
import lean_package_of_tests as package
whole = hasattr(package, "Class")
"""


class Gate:
    """What the package imports: it says when its `__init__` runs, and lets it end."""

    def __init__(self) -> None:
        self.runs = 0
        self.began, self.may_end = threading.Event(), threading.Event()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT)
    (folder / "inner.py").write_text(INNER)
    (folder / "part.py").write_text("HERE = 1")
    monkeypatch.syspath_prepend(tmp_path)
    gate = Gate()
    monkeypatch.setitem(sys.modules, "lean_gate_of_tests", gate)  # type: ignore[arg-type]
    enter(NAME, {"HERE": "part"})
    yield gate
    gate.may_end.set()
    for name in [name for name in sys.modules if name.split(".")[0] == NAME]:
        del sys.modules[name]


def test_parts_are_loaded_without_the_rest(gate: Gate) -> None:
    assert import_module(f"{NAME}.part").HERE == 1
    assert sys.modules[NAME].HERE == 1
    assert sys.modules[NAME].part is sys.modules[f"{NAME}.part"]
    with pytest.raises(AttributeError, match="__path_of_tests__"):
        _ = sys.modules[NAME].__path_of_tests__
    assert gate.runs == 0


def test_a_thread_that_asks_meanwhile_waits(gate: Gate) -> None:
    """A collector reads log configurations and looks for its topic on two threads; the second one
    found half a kafka-python, and nothing was sent any more."""
    found: dict[str, Any] = {}

    def take(who: str) -> None:
        try:
            found[who] = sys.modules[NAME].Class
        except AttributeError as error:
            found[who] = error

    first = threading.Thread(target=take, args=("first",))
    first.start()
    assert gate.began.wait(60)
    second = threading.Thread(target=take, args=("second",))
    second.start()
    second.join(0.3)  # it would have failed by now
    gate.may_end.set()
    for thread in (first, second):
        thread.join(60)
    package = sys.modules[NAME]
    assert found == {"first": package.Class, "second": package.Class}
    assert gate.runs == 1
    assert package.whole is False, "what __init__ imports does not wait for it"
    with pytest.raises(AttributeError, match="Other"):
        _ = package.Other


def test_an_init_that_fails_is_run_again(gate: Gate) -> None:
    package = sys.modules[NAME]
    gate.may_end.set()
    gate.may_end.wait = lambda _timeout: gate.runs > 1  # type: ignore[method-assign, assignment]
    with pytest.raises(AssertionError):
        _ = package.Class
    assert package.Class.__name__ == "Class"
    assert gate.runs == 2
