"""`LogConfig` and `ClusterLogConfig`: what people may write, as one model.

Everything else follows from it: the schema of the custom resources (crd.py), what `kubeledger
check` says, and what the log processor does. A setting that is left out leaves the word to whoever
ranks next (precedence.py); so nothing here has a default that means anything.

What a pydantic validator refuses the API server refuses as well, by the CEL rule beside it; but for
groups that a replacement names and its pattern does not have.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from pipeline.logconfig.paths import MOST, MOST_FILES, PATTERN, checked_path
from pipeline.logconfig.patterns import checked, checked_replacement

GROUP = "kubeledger.io"
VERSION = "v1alpha1"
NAMESPACED, CLUSTER = "LogConfig", "ClusterLogConfig"
MOST_ATTRIBUTES = 16

CEL = "x-kubernetes-validations"
# CEL's matches is RE2, too, and fails on what is no pattern: then neither value comes out.
_IS_RE2: list[Any] = [
    {"rule": "''.matches(self) in [true, false]", "message": "not an RE2 pattern"}
]
Re2 = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    AfterValidator(checked),
    Field(json_schema_extra={CEL: _IS_RE2}),
]
# What a pattern cannot say without lookahead.
_STAYS: list[Any] = [
    {
        "rule": "!self.matches('/[.][.]?(/|$)')",
        "message": "a path has no . and no ..",
    },
    {
        "rule": "!self.matches('[^/][*][*]|[*][*]([^/]|$)')",
        "message": "** stands for directories: alone between two slashes, and a name behind",
    },
]
FilePath = Annotated[
    str,
    StringConstraints(min_length=2, max_length=MOST, pattern=PATTERN),
    AfterValidator(checked_path),
    Field(json_schema_extra={CEL: _STAYS}),
]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=63)]
Value = Annotated[str, StringConstraints(max_length=256)]
Trace = Literal["java", "python", "go", "dotnet", "auto", "off"]
Format = Literal["json", "logfmt", "regex", "klog", "nginx", "none"]
Exclude = Literal["all", "stdout", "stderr", "none"]
Retention = Literal["short", "standard", "long"]
Preset = Literal["cloud-keys", "jwt", "cards", "email"]


def _number(value: object) -> object:
    if isinstance(value, str | bool):
        raise ValueError("expected a number, without quotes")
    return value


# As the API server: no texts that look like numbers; 1e6 is an integer.
Int = Annotated[int, BeforeValidator(_number)]
Float = Annotated[float, BeforeValidator(_number)]


def _cel(*rules: str) -> ConfigDict:
    """Rules and their messages in turn, for the API server."""
    made: list[Any] = [
        {"rule": r, "message": m} for r, m in zip(rules[::2], rules[1::2], strict=True)
    ]
    return ConfigDict(json_schema_extra={CEL: made})


class Written(BaseModel):
    """Base of all parts: frozen, no unknown keys. Kubernetes writes names in camel case."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True
    )


class Expression(Written):
    """One requirement of a label selector."""

    model_config = _cel(
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        "In and NotIn need values; Exists and DoesNotExist take none",
    )

    key: Annotated[str, StringConstraints(min_length=1, max_length=317)] = Field(
        description="The label's name."
    )
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label is compared with the values."
    )
    values: tuple[Value, ...] = Field((), max_length=64, description="For In and NotIn.")

    @model_validator(mode="after")
    def _values_where_they_belong(self) -> "Expression":
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            raise ValueError("In and NotIn need values; Exists and DoesNotExist take none")
        return self


class Selector(Written):
    """Which containers. All that is given must hold; nothing given means all."""

    match_labels: Mapping[str, Value] = Field(
        default_factory=dict, max_length=64, description="Labels of the pod, all of them."
    )
    match_expressions: tuple[Expression, ...] = Field(
        (), max_length=32, description="As in every Kubernetes selector."
    )
    containers: tuple[Glob, ...] = Field(
        (), max_length=64, description="Names of containers; * and ? stand for anything."
    )
    pods: tuple[Glob, ...] = Field(
        (), max_length=64, description="Names of pods; * and ? as above."
    )
    namespaces: tuple[Glob, ...] = Field(
        (), max_length=64, description="ClusterLogConfig only. Namespaces; * and ? as above."
    )


class Multiline(Written):
    """Which lines are one record: a stack trace's language, or how a record begins."""

    model_config = _cel("has(self.trace) != has(self.start)", "exactly one of trace and start")

    trace: Trace | None = Field(None, description="What the stack traces look like.")
    start: Re2 | None = Field(
        None, description="RE2: a line that begins a record; others continue it."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> "Multiline":
        if (self.trace is None) == (self.start is None):
            raise ValueError("exactly one of `trace` and `start`")
        return self


class Parse(Written):
    """Which fields a line has. JSON and logfmt are recognised without being asked for."""

    model_config = _cel(
        "(self.format == 'regex') == has(self.pattern)",
        "pattern is for format regex, which needs it",
        "!has(self.pattern) || self.pattern.contains('(?P<') || self.pattern.contains('(?<')",
        "pattern names no field: write (?P<name>...)",
    )

    format: Format = Field(description="What a line looks like.")
    pattern: Re2 | None = Field(None, description="For `regex`: RE2 with named groups.")

    @model_validator(mode="after")
    def _pattern_for_regex(self) -> "Parse":
        if (self.format == "regex") != (self.pattern is not None):
            raise ValueError("`pattern` is for format regex, which needs it")
        if self.pattern is not None and not re.search(r"\(\?P?<", self.pattern):
            raise ValueError("`pattern` names no field: write (?P<name>…)")
        return self


class RedactPattern(Written):
    """Something that must not be stored."""

    name: Name = Field(description="What it is; for counters, and for the text in its place.")
    pattern: Re2 = Field(description="RE2. What it matches is replaced.")
    replacement: Value | None = Field(
        None, description="Instead of [redacted:NAME]; \\1 is the pattern's first group."
    )

    @model_validator(mode="after")
    def _groups_of_the_pattern(self) -> "RedactPattern":
        if self.replacement is not None:
            checked_replacement(self.pattern, self.replacement)
        return self


class Redact(Written):
    """What is replaced before a line is stored. Wishes add up: none takes another's away."""

    presets: tuple[Preset, ...] = Field((), max_length=4, description="Well-known secrets.")
    patterns: tuple[RedactPattern, ...] = Field((), max_length=32, description="Others.")


class Sample(Written):
    """A share of the lines is stored, each with the weight that keeps counts right."""

    rate: Float = Field(gt=0, le=1, description="The share of lines that is stored.")
    keep_errors: StrictBool = Field(
        True, description="Lines that speak of warnings, errors or worse are all stored."
    )
    keep: tuple[Re2, ...] = Field(
        (), max_length=32, description="RE2: lines that are stored whatever the rate."
    )


class Limit(Written):
    """How much of a container's log is stored; what is above is sampled down to it."""

    bytes_per_second: Int = Field(ge=1, le=1 << 40, description="Raw bytes, by the lines' time.")
    burst_bytes: Annotated[int, Field(ge=1, le=1 << 40), BeforeValidator(_number)] | None = Field(
        None, description="At once, after a quiet time; ten seconds' worth."
    )


class Quota(Written):
    """How much of a namespace's log is stored, all its pods on all nodes together."""

    bytes_per_second: Int = Field(ge=1, le=1 << 50, description="Raw bytes, a minute's average.")
    burst_bytes: Annotated[int, Field(ge=1, le=1 << 50), BeforeValidator(_number)] | None = Field(
        None, description="Beyond it, after a quiet time; a minute's worth."
    )
    borrow: StrictBool = Field(
        True, description="More is stored while other namespaces leave their quotas unused."
    )


class LogConfigSpec(Written):
    """What is wished for the logs of the selected containers."""

    model_config = _cel(
        "!has(self.quota) || !has(self.selector) || !(has(self.selector.matchLabels) || "
        "has(self.selector.matchExpressions) || has(self.selector.containers) || "
        "has(self.selector.pods))",
        "a quota is for whole namespaces: select by namespaces alone",
    )

    selector: Selector = Field(default_factory=Selector, description="Which containers.")
    priority: Int = Field(
        0, ge=-1000, le=1000, description="Of two that contradict each other the higher counts."
    )
    files: tuple[FilePath, ...] | None = Field(
        None,
        min_length=1,
        max_length=MOST_FILES,
        description="Files in emptyDir or hostPath volumes, by their paths in the container, are "
        "read as well; what else is set here is for them alone. * and ? stand for what is in a "
        "name, ** for directories.",
    )
    exclude: Exclude | None = Field(
        None, description="Store nothing of these containers, or of one of their streams."
    )
    include_lines: tuple[Re2, ...] | None = Field(
        None, max_length=32, description="RE2: only lines that match one of these are stored."
    )
    exclude_lines: tuple[Re2, ...] | None = Field(
        None, max_length=32, description="RE2: lines that match one of these are not stored."
    )
    multiline: Multiline | None = Field(None, description="Which lines are one record.")
    parse: Parse | None = Field(None, description="Which fields a line has.")
    redact: Redact | None = Field(None, description="What must not be stored.")
    sample: Sample | None = Field(None, description="Store a share.")
    limit: Limit | None = Field(None, description="Store so much. The smallest limit counts.")
    retention: Retention | None = Field(
        None, description="How long lines are kept; the store says how many days each class has."
    )
    quota: Quota | None = Field(
        None,
        description="ClusterLogConfig only. Of each selected namespace; the smallest counts.",
    )
    attributes: Mapping[Name, Value] | None = Field(
        None, max_length=MOST_ATTRIBUTES, description="Fields that every line gets."
    )

    @model_validator(mode="after")
    def _quota_of_namespaces(self) -> "LogConfigSpec":
        of = self.selector
        narrowed = of.match_labels or of.match_expressions or of.containers or of.pods
        if self.quota is not None and narrowed:
            raise ValueError("a quota is for whole namespaces: select by namespaces alone")
        return self
