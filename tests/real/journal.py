"""A real journal: systemd-journal-remote writes its files from entries in export format (systemd,
JOURNAL_EXPORT_FORMATS), the real journalctl reads them. No journald runs for it."""

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.real.kafka import RealPartMissing

PLACES = ("/usr/lib/systemd", "/lib/systemd")


def missing_part() -> str:
    """Why there is no real journal here, or nothing."""
    if shutil.which("journalctl") is None:
        return "journalctl is not installed (Debian: systemd)"
    if _writer() is None:
        return "systemd-journal-remote is not installed (Debian: systemd-journal-remote)"
    return ""


def need_journal() -> None:
    """Skips where it cannot be had; with CI=true that is a failure."""
    why = missing_part()
    if why and os.environ.get("CI") == "true":
        pytest.fail(f"CI must not skip the real parts: {why}")
    if why:
        pytest.skip(why)


def _writer() -> str | None:
    asked = os.environ.get("KUBELEDGER_JOURNAL_REMOTE")
    found = [asked] if asked else [f"{place}/systemd-journal-remote" for place in PLACES]
    return next((path for path in found if os.access(path, os.X_OK)), None)


def exported(fields: Mapping[str, str | bytes]) -> bytes:
    """One entry. Values with a newline, and bytes, are written with their length."""
    out = b""
    for name, value in fields.items():
        raw = value.encode() if isinstance(value, str) else value
        if isinstance(value, bytes) or b"\n" in raw:
            out += name.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"
        else:
            out += name.encode() + b"=" + raw + b"\n"
    return out + b"\n"


class JournalFile:
    """One file of a journal, open for writing. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> "JournalFile":
        writer = _writer()
        if writer is None:
            raise RealPartMissing(missing_part())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ}
        if libraries := environment.pop("KUBELEDGER_JOURNAL_LIBRARIES", ""):
            environment["LD_LIBRARY_PATH"] = libraries
        self._process = subprocess.Popen(
            [writer, f"--output={self.path}", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        return self

    def write(self, fields: Mapping[str, str | bytes]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(exported(fields))
        self._process.stdin.flush()

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0
