"""Entries of a journal -> lines of a log, and the order of cursors. Pure.

A line is made from the entry alone, so an entry that is read again makes the same bytes: what was
sent and not acknowledged before a crash is sent again at the same offsets, and trimmed.

A cursor says where an entry is: `s=` sequence (of a journald's files), `i=` number in it, `b=`
boot, `m=` and `t=` its times, in hex (systemd.journal-fields(7)). Entries of the kernel's own
buffer get one of the same form, with the boot as sequence.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

KERNEL, SYSTEMD = "kernel", "systemd"
PART_CHARS = 32 * 1024  # of a message on one line; the rest goes on in the next
MAX_CHARS = 8 * PART_CHARS  # of a message; more is cut off, and said


@dataclass(frozen=True, slots=True)
class Entry:
    """`data` is whole lines, see pipeline/contract/record.py."""

    program: str
    unit: str
    cursor: str
    boot: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """Entries that should come next are gone: removed, or overwritten, before they were read."""

    why: str


def journald_entry(
    fields: Mapping[str, Any], *, units: Collection[str], systemd: bool, kernel: bool
) -> Entry | None:
    """An object of `journalctl -o json`; None if nobody asked for it. ValueError if it is not
    what journald writes."""
    unit = text_of(fields.get("_SYSTEMD_UNIT"))
    if text_of(fields.get("_TRANSPORT")) == "kernel":
        program, unit, wanted = KERNEL, KERNEL, kernel
    elif text_of(fields.get("_PID")) == "1":
        program, unit, wanted = SYSTEMD, text_of(fields.get("UNIT")), systemd
    else:
        program, wanted = unit.rpartition(".")[0], unit in units
    cursor, boot = text_of(fields.get("__CURSOR")), text_of(fields.get("_BOOT_ID"))
    if not cursor:
        raise ValueError("a journal entry has no cursor")
    if not wanted:
        return None
    ts = int(text_of(fields.get("__REALTIME_TIMESTAMP"))) * 1000
    priority = text_of(fields.get("PRIORITY"))
    pid = text_of(fields.get("_PID"))
    data = lines_of(
        text_of(fields.get("MESSAGE")),
        ts=ts,
        priority=int(priority) if priority.isdecimal() else None,
        pid=int(pid) if pid.isdecimal() and program != KERNEL else None,
        unit="" if program == KERNEL else unit,
    )
    return Entry(program, unit, cursor, boot, data)


def text_of(value: Any) -> str:
    """journalctl gives bytes that are no text as a list of numbers, a field that an entry has
    several times as a list of values (the first counts), and null for what it does not show."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        if all(type(octet) is int and 0 <= octet < 256 for octet in value):
            return bytes(value).decode("utf-8", "surrogateescape")
        return text_of(value[0])
    return ""


def lines_of(message: str, *, ts: int, priority: int | None, pid: int | None, unit: str) -> bytes:
    """One line, or several for a long message. `ts` in Unix ns."""
    head: dict[str, Any] = {"ts": ts}
    if priority is not None:
        head["p"] = priority
    if pid is not None:
        head["pid"] = pid
    if unit:
        head["unit"] = unit
    if len(message) > MAX_CHARS:
        message = f"{message[:MAX_CHARS]} … ({len(message)} characters)"
    parts = [message[at : at + PART_CHARS] for at in range(0, len(message), PART_CHARS)] or [""]
    lines = [{**head, "msg": part, "more": 1} for part in parts[:-1]]
    lines.append({**head, "msg": parts[-1]})
    return b"".join(map(_line, lines))


def _line(line: Mapping[str, Any]) -> bytes:
    text = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # bytes that are no text, see `text_of`
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def cursor_parts(cursor: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in cursor.split(";"))


def compare(one: str, other: str) -> int:
    """Below 0: the first cursor is before the second. As journald orders entries: by number
    within a sequence, by the boot's clock within a boot, else by the wall clock."""
    if one == other:
        return 0
    first, second = cursor_parts(one), cursor_parts(other)
    for same, number in (("s", "i"), ("b", "m")):
        if first.get(same) and first.get(same) == second.get(same):
            return _number(first, number) - _number(second, number)
    return _number(first, "t") - _number(second, "t")


def _number(parts: Mapping[str, str], key: str) -> int:
    try:
        return int(parts.get(key, "0"), 16)
    except ValueError:
        return 0
