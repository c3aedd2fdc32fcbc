"""Which lines belong to the line before them: stack traces of Java, Python, Go and .NET.

Off unless a pod's annotation or the configuration asks for it. A pattern sees one line and what
is known of the group that is open; it never looks ahead, so a group closes when a line comes
that does not continue it, when it reaches a bound, or when its time is over.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipeline.logconfig.patterns import compiled
from pipeline.stages.carry import Group, Row

PATTERNS = ("java", "python", "go", "dotnet", "auto")

MAX_LINES = 500
_HEAD = 512  # bytes of a line that decide; keeps the cost of a pattern bounded

_JAVA_THROWABLE = rb"(?:[\w$]+\.)*[A-Z][\w$]*(?:Exception|Error|Throwable|Failure)\b"


@dataclass(frozen=True, slots=True)
class Pattern:
    """`starts`: begins a trace and a row of its own. `inside`: continues whatever the group is.
    `opener`: begins a trace, too, but continues a group of one line that is not a trace itself
    (the log line that announces it). `traced`: continues a group in which a trace was opened.
    `last`: continues an opened group after an indented line, at the left margin (Python's
    `ValueError: ...`)."""

    starts: Any  # re.Pattern[bytes], or what people wrote, which is RE2
    inside: re.Pattern[bytes]
    opener: re.Pattern[bytes]
    traced: re.Pattern[bytes]
    last: re.Pattern[bytes]


_NEVER = re.compile(rb"(?!)")

_JAVA = Pattern(
    starts=re.compile(rb"Exception in thread \""),
    inside=re.compile(rb"[\t ]+(?:at |\.\.\. \d+ |eval\()|[\t ]*(?:Caused by|Suppressed): "),
    opener=re.compile(
        _JAVA_THROWABLE + rb"(?::|$)|"
        rb"(?:[\w$]+\.)*[\w$]*(?:Exception|Error)(?:: |$)"
    ),
    traced=re.compile(rb"[\t ]+\S"),
    last=_NEVER,
)
_PYTHON = Pattern(
    starts=_NEVER,
    inside=_NEVER,
    opener=re.compile(rb"Traceback \(most recent call last\):|  \+ Exception Group Traceback"),
    traced=re.compile(
        rb"[\t ]+\S|\s*$|Traceback \(most recent call last\):|During handling of the above "
        rb"exception, another|The above exception was the direct cause of the following"
    ),
    last=re.compile(rb"[A-Za-z_][\w.]*(?::|$)"),
)
_GO = Pattern(
    starts=re.compile(rb"panic: |fatal error: "),
    inside=re.compile(rb"goroutine \d+ \[[^\]]+\]:"),
    opener=re.compile(rb"goroutine \d+ \[[^\]]+\]:"),
    traced=re.compile(
        rb"[\t ]+\S|\s*$|\[signal |created by |goroutine \d+ \[|exit status \d|"
        rb"[^\s(]\S*\(.*\)$"
    ),
    last=_NEVER,
)
_DOTNET = Pattern(
    starts=re.compile(rb"Unhandled exception[.:] "),
    inside=re.compile(rb"[\t ]+(?:at |---> |--- End of )|[\t ]*---> "),
    opener=re.compile(rb"(?:[A-Z]\w*\.)+\w*Exception\b"),
    traced=re.compile(rb"[\t ]+\S"),
    last=_NEVER,
)
_RULES = {
    "java": (_JAVA,),
    "python": (_PYTHON,),
    "go": (_GO,),
    "dotnet": (_DOTNET,),
    "auto": (_JAVA, _PYTHON, _GO, _DOTNET),
}


OFF = "off"  # none, said explicitly
START = "start:"  # and then a regular expression: a record begins where it matches


@lru_cache(maxsize=1024)
def _rules(pattern: str) -> tuple[Pattern, ...]:
    if not pattern.startswith(START):
        return _RULES[pattern]
    begins = compiled(pattern.removeprefix(START))
    return (Pattern(begins, re.compile(rb""), _NEVER, _NEVER, _NEVER),)


def opens_trace(pattern: str, body: bytes) -> bool:
    """Does a trace begin at this line?"""
    head = body[:_HEAD]
    return any(rule.starts.match(head) or rule.opener.match(head) for rule in _rules(pattern))


def continues(pattern: str, group: Group, body: bytes) -> bool:
    """Does this line belong to the group?"""
    head = body[:_HEAD]
    if any(rule.starts.match(head) for rule in _rules(pattern)):
        return False
    for rule in _rules(pattern):
        if rule.inside.match(head):
            return True
        if not group.opened:
            if len(group.bodies) == 1 and rule.opener.match(head):
                return True
            continue
        if rule.traced.match(head) or (group.indented and rule.last.match(head)):
            return True
    return False


def begin(pattern: str, row: Row, now_ms: int) -> Group:
    """A new group."""
    return Group(
        first=row,
        bodies=[row.body],
        size=len(row.body),
        nbytes=row.nbytes,
        end=row.end,
        opened=opens_trace(pattern, row.body),
        indented=row.body[:1] in (b" ", b"\t"),
        last_ms=now_ms,
    )


def extend(pattern: str, group: Group, row: Row, now_ms: int) -> None:
    """The group with one more line."""
    group.bodies.append(row.body)
    group.size += len(row.body) + 1
    group.nbytes += row.nbytes
    group.end = row.end
    group.opened = group.opened or opens_trace(pattern, row.body)
    group.indented = row.body[:1] in (b" ", b"\t")
    group.last_ms = now_ms
