"""What is done with the lines of one container: its effective configuration, ready for use.

Compared by identity: it is part of what rows of a chunk share, and is asked for with every chunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.logconfig.claims import Claim, Problem
from pipeline.logconfig.patterns import compiled
from pipeline.logconfig.precedence import Effective, resolve
from pipeline.logconfig.spec import Limit, Sample
from pipeline.stages.fields import Parser, parser_of
from pipeline.stages.lines import STDERR, STDOUT
from pipeline.stages.redact import Redactor

PROBLEM = "kubeledger.config"  # field of lines whose configuration cannot be followed
FILE = "log.file.path"  # field of lines of files in volumes: the path in the container
# Lines that are stored whatever the rate. Levels as the table recognises them, traces, and what is
# thrown by name.
ERRORS = compiled(
    r"(?im)\b(?:warn|warning|error|err|severe|fatal|critical|crit|panic|alert|emerg|exception|"
    r"traceback|(?-i:[A-Z]\w*(?:Error|Exception|Throwable)))\b|^[WEF][0-9]{4} "
)
_STREAMS = {"all": (STDOUT, STDERR), "stdout": (STDOUT,), "stderr": (STDERR,), "none": ()}


@dataclass(frozen=True, slots=True, eq=False)
class Treatment:
    """`effective` says who wished what. `problems`: what could not be followed."""

    effective: Effective
    problems: tuple[Problem, ...]
    exclude: frozenset[int] = frozenset()
    include_lines: tuple[Any, ...] = ()
    exclude_lines: tuple[Any, ...] = ()
    redactor: Redactor | None = None
    sample: Sample | None = None
    keep: tuple[Any, ...] = ()
    share: float = 1.0  # of what is left, so that the namespace's quota holds
    limit: Limit | None = None
    parser: Parser | None = None
    format: str = ""
    constants: dict[str, str] = field(default_factory=dict)
    retention: str = ""  # as it is stored; empty: standard

    @property
    def sheds(self) -> bool:
        """May a line of this container not be stored?"""
        return bool(
            self.exclude
            or self.include_lines
            or self.exclude_lines
            or self.sample
            or self.share < 1
            or self.limit
        )

    def unshed(self) -> "Treatment":
        """The same, storing every line."""
        return Treatment(
            self.effective,
            self.problems,
            redactor=self.redactor,
            parser=self.parser,
            format=self.format,
            constants=self.constants,
            retention=self.retention,
        )


def multiline_of(effective: Effective) -> str | None:
    """As multiline.py takes it; None if nobody said anything."""
    wish = effective.value("multiline")
    if wish is None:
        return None
    return f"start:{wish.start}" if wish.start is not None else str(wish.trace)


def treatment(
    claims: Sequence[Claim], problems: Sequence[Problem], *, file: str = "", share: float = 1.0
) -> Treatment | None:
    """None where nothing is wished but multi-line records, and nothing is wrong. A file in a volume
    is neither of the streams."""
    effective = resolve(claims)
    untouched = not effective.decisions.keys() - {"multiline", "quota"} and share == 1
    if not file and not problems and untouched:
        return None
    value = effective.value
    sample, redact, parse = value("sample"), value("redact"), value("parse")
    constants = dict(value("attributes") or {})
    if file:
        constants[FILE] = file
    if problems:
        constants[PROBLEM] = "; ".join(map(str, problems))[:500]
    exclude, retention = value("exclude") or "none", value("retention") or "standard"
    patterns = list(sample.keep) if sample is not None else []
    return Treatment(
        effective,
        tuple(problems),
        frozenset(_STREAMS[exclude] if not file or exclude == "all" else ()),
        tuple(map(compiled, value("include_lines") or ())),
        tuple(map(compiled, value("exclude_lines") or ())),
        Redactor(redact) if redact is not None else None,
        sample,
        tuple(map(compiled, patterns)),
        share,
        value("limit"),
        parser_of(parse),
        parse.format if parse is not None else "",
        constants,
        "" if retention == "standard" else retention,
    )
