"""The result's size: what matters least is cut first, and it is said what was cut."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

# Lists that may be shortened, in this order; they hold what matters most first.
_LEAST_FIRST = ("shims", "mounts", "calls", "runc", "dstate", "stuck")
_TAILS_SHARE = 4  # a quarter at least is for the last lines of the logs


def size(value: object) -> int:
    """Bytes as JSON."""
    return len(
        json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    )


def fit(body: Mapping[str, Any], max_bytes: int) -> dict[str, Any]:
    """The same, shortened to at most `max_bytes`; `cut` names what was."""
    tails: Mapping[str, Sequence[str]] = body.get("tails") or {}
    found = {key: value for key, value in body.items() if key != "tails"}
    cut, most = [], max_bytes - max_bytes // _TAILS_SHARE
    for key in _LEAST_FIRST:
        while size(found) > most and found.get(key):
            found[key] = found[key][: len(found[key]) // 2]
            cut.append(key)
    room = (max_bytes - size(found) - 256) // max(1, len(tails))
    shortened = {program: _newest(lines, room) for program, lines in tails.items()}
    if any(len(shortened[program]) < len(lines) for program, lines in tails.items()):
        cut.append("tails")
    return (
        found | ({"tails": shortened} if shortened else {}) | ({"cut": _once(cut)} if cut else {})
    )


def _newest(lines: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for line in reversed(lines):
        room -= size(line) + 8
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]


def _once(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))
