"""The last lines of the kubelet's and the runtime's logs, of files or of the journal.

A log may lie on a file system that hangs, and journalctl may hang with its daemon: whoever calls
`tail_of` does so on a thread of its own (collectors/node/aside.py). journalctl is killed at its
deadline.
"""

import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.node.blackbox.config import ProgramLog

LINE_BYTES = 1024
_JOURNAL_S = 5.0


def tail_of(log: "ProgramLog", *, lines: int, journal_dir: "Path | None") -> list[str]:
    """Oldest first, each at most LINE_BYTES. Raises OSError."""
    if not lines:
        return []
    limit = lines * LINE_BYTES
    raw = _file(str(log.path), limit) if log.path else _journal(log.unit, lines, limit, journal_dir)
    return [_cut(line) for line in raw.splitlines()[-lines:]]


def _file(path: str, limit: int) -> bytes:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - limit))
        data = file.read(limit)
    _, newline, rest = data.partition(b"\n")
    return data if size <= limit or not newline else rest  # what begins in the middle is left out


def _journal(unit: str, lines: int, limit: int, directory: "Path | None") -> bytes:
    command = ["journalctl", "--no-pager", "--quiet", "-o", "short-precise"]
    command += ["-u", unit, "-n", str(lines)]
    if directory:
        command += ["--directory", str(directory)]
    output = os.memfd_create("journal", 0)
    try:
        with open(os.devnull, "r+b") as nothing:
            journalctl = subprocess.Popen(command, stdin=nothing, stdout=output, stderr=nothing)
        try:
            journalctl.wait(_JOURNAL_S)
        except subprocess.TimeoutExpired:
            journalctl.kill()
            with suppress(subprocess.TimeoutExpired):
                journalctl.wait(1.0)
            return b""
        size = os.fstat(output).st_size
        return os.pread(output, limit, max(0, size - limit))
    finally:
        os.close(output)


def _cut(line: bytes) -> str:
    """Replaced bytes may be longer than what they replace."""
    text = line[:LINE_BYTES].decode("utf-8", "replace")
    return text.encode()[:LINE_BYTES].decode("utf-8", "ignore")
