"""`make audit` tells findings from not having been able to look."""

import json
import subprocess
from typing import Any

import pytest

from tests import audit

FOUND = {"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.0"], "description": ""}


def answers(monkeypatch: pytest.MonkeyPatch, said: str, complaint: str = "", code: int = 0) -> None:
    def run(command: Any, **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, code, said, complaint)

    monkeypatch.setattr("tests.audit.subprocess.run", run)


def known(*vulns: Any) -> str:
    return json.dumps({"dependencies": [{"name": "a", "version": "1.0", "vulns": list(vulns)}]})


def test_a_finding_fails_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, known(FOUND), code=1)
    assert audit.main() == 1
    assert "a 1.0: PYSEC-1, fixed in 2.0" in capsys.readouterr().err
    monkeypatch.setitem(audit.ACCEPTED, "CVE-2026-1", "we do not call it")
    assert audit.main() == 0


def test_nothing_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers(monkeypatch, known())
    assert audit.main() == 0
    assert "1 packages, 0 unknown, 0 findings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("", "ConnectionError: Name or service not known"),
        ("<html>", ""),
        (json.dumps({"dependencies": [{"name": "a", "skip_reason": "not found"}]}), ""),
    ],
)
def test_what_could_not_be_asked_is_said_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, complaint: str
) -> None:
    answers(monkeypatch, said, complaint, code=1)
    assert audit.main() == 0
    assert "NOT DONE" in capsys.readouterr().err
