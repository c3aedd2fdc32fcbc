"""Signals: named patterns of log lines, as data (catalogue/signals.yaml), loaded and checked.

A **program** is who writes lines: daemons of the node by the name that their log is filed under
(`host`), components in pods by their container's name (`containers`); both are globs. Host names
never match a container of a pod, so no pod can speak for the node. `mixed` files (syslog) hold
lines of many programs: there the line's own tag says whose it is.

A **pattern** matches a line of one of its programs that holds one of its `hints` and whose
message and fields (pipeline/stages/logline.py) fit its regular expressions. Named groups of all
of them are captured; `_2` at the end of a group's name is dropped, because RE2 allows a name
once. A pod is named by a field or group `pod` (`namespace/name`), by `podfull`
(`name_namespace(uid)`, as kubelets before 1.21 write), or by `pod_name`, `pod_namespace` and
`pod_uid`.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal

import re2
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipeline.base.errors import UsageError
from pipeline.contract.record import Source
from pipeline.readiness.shipped import read_yaml

MIXED = "mixed"

_Id = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Program(_Model):
    """Who writes. At least one of the two lists is not empty."""

    host: list[str] = Field([], description="Globs on the program name of a node's log.")
    containers: list[str] = Field([], description="Globs on the container name in a pod.")


class Pattern(_Model):
    """One named pattern."""

    id: _Id
    says: str = Field(description="What such a line means, in a sentence without a full stop.")
    programs: list[str] = Field(min_length=1)
    hints: list[str] = Field(
        min_length=1, description="Every line that matches holds one of these, byte for byte."
    )
    regex: str = Field("", description="RE2, found in the message.")
    text: str = Field("", description="RE2, found in `message key=value …`, unescaped.")
    where: dict[str, str] = Field({}, description="Field or capture -> RE2 that is found in it.")
    unless: dict[str, str] = Field({}, description="Field or capture -> RE2 that is not.")
    entity: Literal["node", "pod", "logger", "cluster"] = Field(
        description="Whom it is about: the node; the pod that the line names (the node, if it "
        "names none); the pod that wrote it; nobody in particular."
    )
    per: list[str] = Field(
        [], description="Captures that make two lines two signals even in one window."
    )
    window_s: int = Field(
        1, ge=1, le=3600, description="One signal per entity and window of line time; more count."
    )
    ttl_s: float = Field(300, gt=0, description="How long it counts as evidence.")
    source: str = Field(description="Where the text is from.")

    @field_validator("hints")
    @classmethod
    def _plain(cls, hints: list[str]) -> list[str]:
        for hint in hints:
            if len(hint) < 5 or re.search(r"[\"'\\\n]|[^\x20-\x7e]", hint):
                raise ValueError(
                    f"hint {hint!r}: at least 5 printable ASCII characters, without quotes and "
                    "backslashes, which are written differently inside structured lines"
                )
        return hints


class _Document(_Model):
    programs: dict[str, Program]
    signals: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A pattern, ready to be tried. `hints` are bytes."""

    pattern: Pattern
    hints: tuple[bytes, ...]
    regex: Any
    text: Any
    where: Mapping[str, Any]
    unless: Mapping[str, Any]


class SignalCatalogue:
    """Patterns by id, and which of them a log can hold."""

    def __init__(self, programs: Mapping[str, Program], patterns: Iterable[Compiled]) -> None:
        self._programs = programs
        self._compiled = tuple(patterns)
        self.by_id = {compiled.pattern.id: compiled.pattern for compiled in self._compiled}

    def is_mixed(self, source: Source) -> bool:
        """Does this log hold lines of many programs of the node?"""
        return not source.uid and self._names(MIXED, source)

    def of_log(self, source: Source) -> list[Compiled]:
        """What lines of this log may match: nothing, for nearly every container."""
        if self.is_mixed(source):
            host = {name for name, program in self._programs.items() if program.host}
            return self._patterns(host)
        return self._patterns({name for name in self._programs if self._names(name, source)})

    def of_tag(self, tag: str) -> list[Compiled]:
        """What a line with this syslog tag may match."""
        return self._patterns(
            {
                name
                for name, program in self._programs.items()
                if any(fnmatchcase(tag, glob) for glob in program.host)
            }
        )

    def _names(self, name: str, source: Source) -> bool:
        program = self._programs.get(name)
        if program is None:
            return False
        globs = program.containers if source.uid else program.host
        return any(fnmatchcase(source.container, glob) for glob in globs)

    def _patterns(self, programs: set[str]) -> list[Compiled]:
        return [c for c in self._compiled if programs.intersection(c.pattern.programs)]


def load_signals(file: Traversable | None = None) -> SignalCatalogue:
    """The catalogue that is shipped, or another file of the same form. UsageError says which
    file, which signal, and what is wrong with it."""
    file = file or files("pipeline.readiness") / "catalogue" / "signals.yaml"
    try:
        document = _Document.model_validate(read_yaml(file))
    except ValidationError as error:
        raise UsageError(f"{file}: {_first(error)}") from None
    for name, program in document.programs.items():
        if not (program.host or program.containers):
            raise UsageError(f"{file}: program {name}: names no log; give `host` or `containers`")
    compiled: dict[str, Compiled] = {}
    for number, values in enumerate(document.signals, 1):
        where = f"{file}: signal {number} ({values.get('id', 'without id')})"
        pattern = _pattern(values, where)
        for program_name in pattern.programs:
            if program_name not in document.programs:
                near = difflib.get_close_matches(program_name, document.programs, n=1)
                hint = f"; did you mean `{near[0]}`?" if near else ""
                raise UsageError(f"{where}: unknown program `{program_name}`{hint}")
        if pattern.id in compiled:
            raise UsageError(f"{where}: there is another signal of this id")
        compiled[pattern.id] = _compile(pattern, where)
    return SignalCatalogue(document.programs, compiled.values())


def _pattern(values: Any, where: str) -> Pattern:
    try:
        return Pattern.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{where}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"`{place}`: {problem['msg']} (found {problem['input']!r:.80})"


def _compile(pattern: Pattern, where: str) -> Compiled:
    def each(regexes: Mapping[str, str], key: str) -> dict[str, Any]:
        return {field: _re2(text, f"{where}: {key}.{field}") for field, text in regexes.items()}

    return Compiled(
        pattern,
        tuple(hint.encode() for hint in pattern.hints),
        _re2(pattern.regex, f"{where}: regex") if pattern.regex else None,
        _re2(pattern.text, f"{where}: text") if pattern.text else None,
        each(pattern.where, "where"),
        each(pattern.unless, "unless"),
    )


def _re2(text: str, where: str) -> Any:
    """RE2: linear in the line, whatever the pattern (a log line is foreign input)."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else b""
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise UsageError(f"{where}: {text!r} is not RE2: {said}") from error
