"""Names an operating-system process so that another one on this machine can tell whether it has
ended: a killed group member is replaced at once and not after its session timeout.

The name holds boot, process namespace, number and start time, so a reused number is not
mistaken. Where /proc is missing the name is empty and only the session timeout counts.
"""

import os
from pathlib import Path

_PROC = Path("/proc")


def current_process() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {_namespace()} {os.getpid()} {_start_time(os.getpid())}"
    except OSError:
        return ""


def has_ended(name: str) -> bool:
    """True only when it is certain."""
    mine = current_process().split(" ")
    theirs = name.split(" ")
    if len(mine) != 4 or len(theirs) != 4:
        return False
    if mine[0] != theirs[0]:
        return True  # the machine was started anew since
    if mine[1] != theirs[1]:
        return False  # another container: its numbers mean nothing here
    try:
        return _start_time(int(theirs[2])) != theirs[3]
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _namespace() -> str:
    return str((_PROC / "self/ns/pid").readlink())


def _start_time(number: int) -> str:
    """Field 22 of /proc/PID/stat; the fields are counted behind the command, which may hold
    anything. A zombie has ended."""
    fields = (_PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    return "ended" if fields[0] == "Z" else fields[19]
