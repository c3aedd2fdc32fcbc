"""An alert rule: one YAML file in alerts/rules. The JSON schema of this model is published by
`kubeledger render alerts`.

A rule reads one thing:

  fact    facts of a kind, as they arrive. Of each thing (an incident, a state machine of an entity,
          a scaling decision) the latest version counts, and the condition holds while it matches.
          With `times` it holds while there were so many matches within a window
  sql     a query over the store, polled. Each row of the answer is a condition that holds. `{now}`
          is the time of asking, `{name}` a parameter of the rule
  always  it always holds: a heartbeat, whose absence is the alarm ("dead man's switch")
"""

from fnmatch import fnmatchcase
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alerts.durations import Duration, span

Severity = Literal["critical", "warning", "info", "none"]
SEVERITIES = ("critical", "warning", "info", "none")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Compare(_Model):
    """Of a number; of a text the globs that it must not match."""

    above: float | None = None
    below: float | None = None
    none_of: list[str] = Field([], alias="not", description="Globs.")

    def holds(self, value: Any) -> bool:
        if self.none_of and any(fnmatchcase(str(value), glob) for glob in self.none_of):
            return False
        if self.above is None and self.below is None:
            return True
        if type(value) not in (int, float):
            return False
        above = self.above is None or value > self.above
        return above and (self.below is None or value < self.below)


Want = str | int | list[str] | Compare


class Times(_Model):
    """So many matches within a window."""

    more_than: int = Field(ge=1, le=50)
    within: Duration


class FactSource(_Model):
    """Facts of one kind; all fields of `where` must match (of a list: any glob)."""

    kind: str = Field(description="episode, transition, scaling, capacity or drain.")
    where: dict[str, Want] = Field(min_length=1)
    times: Times | None = None

    def matches(self, fields: dict[str, Any]) -> bool:
        return all(_holds(want, fields.get(name)) for name, want in self.where.items())


def _holds(want: Want, value: Any) -> bool:
    if isinstance(want, Compare):
        return want.holds(value)
    if isinstance(want, int):
        return bool(value == want)
    globs = [want] if isinstance(want, str) else want
    return any(fnmatchcase(str(value if value is not None else ""), glob) for glob in globs)


class SqlSource(_Model):
    """A query whose rows are conditions. Column `value` is the number that is shown; a column
    `severity` replaces the rule's."""

    query: str
    every: Duration = Field(span("30s"), description="How often it is asked.")
    parameters: dict[str, int | float | str] = Field(
        {}, description="Thresholds, to be changed without changing the query."
    )


class RuleTests(_Model):
    """What the rule is tested with: recordings, synthetic cases, or scenes of the store."""

    fires: list[str] = Field(min_length=1)
    silent: list[str] = Field(min_length=1)


class Rule(_Model):
    """One rule, one file, one runbook page of the same name."""

    name: str = Field(pattern=r"^[A-Z][A-Za-z0-9]{2,60}$")
    severity: Severity
    mixin: str = Field("", description="Alert of kubernetes-mixin that speaks of the same.")
    symptom: bool = Field(
        False, description="Held back while an incident covers what it speaks of."
    )
    held_back_by: list[str] = Field(
        [], description="Rules that, while they fire anywhere, say why this one does."
    )
    fact: FactSource | None = None
    sql: SqlSource | None = None
    always: bool = False
    for_: Duration = Field(
        span("0s"), alias="for", description="How long it must hold before it fires."
    )
    keep_firing_for: Duration = Field(span("0s"), description="It goes on so long after it ended.")
    entity: str = Field("{entity}", description="What it speaks of: kind/name.")
    labels: dict[str, str] = Field({}, description="They are the alert's identity.")
    summary: str = Field(description="One line.")
    description: str = ""
    tests: RuleTests

    @model_validator(mode="after")
    def _reads_one_thing(self) -> Self:
        if [self.fact is not None, self.sql is not None, self.always].count(True) != 1:
            raise ValueError("a rule has exactly one of `fact`, `sql` and `always: true`")
        if self.fact is not None and self.fact.times is not None and self.for_:
            raise ValueError("`times` and `for` do not go together: `times` has its own window")
        return self

    def texts(self) -> dict[str, str]:
        """Every template, by where it stands."""
        found = {f"labels.{name}": text for name, text in self.labels.items()}
        found |= {"entity": self.entity, "summary": self.summary, "description": self.description}
        return found
