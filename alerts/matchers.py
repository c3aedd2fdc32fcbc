"""`label op value`, as silences and receivers name alerts: =, !=, =~, !~ (RE2, whole value)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from pipeline.base.errors import UsageError

_FORM = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*("?)(.*?)\3\s*')


@dataclass(frozen=True, slots=True)
class Matcher:
    """An absent label is the empty text, as Prometheus has it."""

    label: str
    operator: str
    value: str
    pattern: Any = None

    def matches(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.label, "")
        if self.pattern is None:
            return (found == self.value) == (self.operator == "=")
        return (self.pattern.fullmatch(found) is not None) == (self.operator == "=~")


def parse_matcher(text: str) -> Matcher:
    """Raises UsageError that quotes the text."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is not LABEL=VALUE, LABEL!=VALUE, LABEL=~RE2 or LABEL!~RE2")
    label, operator, _, value = found.groups()
    if operator in ("=", "!="):
        return Matcher(label, operator, value)
    options = re2.Options()
    options.log_errors = False  # what is wrong is said once, below
    try:
        return Matcher(label, operator, value, re2.compile(value, options))
    except re2.error as error:
        why = error.args[0].decode("utf-8", "replace")
        raise UsageError(f"{text!r}: {value!r} is not RE2: {why}") from error


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)
