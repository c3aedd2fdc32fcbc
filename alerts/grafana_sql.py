"""Rules as queries for Grafana's ClickHouse data source: its macros for the time, literals for the
parameters. A row is a condition that holds; its text columns are labels, `value` is the number."""

import re
from collections.abc import Mapping
from typing import Any

from alerts.model import Compare, FactSource, Rule, Want
from alerts.questions import NOW
from pipeline.contract.facts import EPISODE, OPEN, TRANSITION

_PLACE = re.compile(r"\{(\w+)\}")
_TO = "$__toTime_ms"
_PARTS = {
    "entity_kind": "splitByChar('/', entity)[1]",
    "namespace": "if(length(splitByChar('/', entity)) > 2, splitByChar('/', entity)[2], '')",
    "name": "splitByChar('/', entity)[-1]",
    "entity": "entity",
    "cluster": "cluster",
}


def query_of(rule: Rule, parameters: Mapping[str, Any]) -> str:
    """SQL of one rule that does not always hold."""
    if rule.sql is not None:
        values = dict(rule.sql.parameters) | dict(parameters) | {NOW: None}
        inner = _PLACE.sub(lambda found: _literal(found[1], values[found[1]]), rule.sql.query)
        columns = [f"{_concat(text, lambda n: n)} AS {_quoted(name)}"
                   for name, text in rule.labels.items()]  # fmt: skip
        return f"SELECT {', '.join([*columns, 'toFloat64(value) AS value'])} FROM ({inner.strip()})"
    if rule.fact is None:
        return ""
    return _fact_query(rule, rule.fact)


def _fact_query(rule: Rule, fact: FactSource) -> str:
    conditions = [_condition(name, want) for name, want in fact.where.items()]
    if fact.kind == EPISODE:
        conditions.append(f"{_field('status')} = '{OPEN}'")
    labels = [f"{_concat(text, _field)} AS {_quoted(name)}" for name, text in rule.labels.items()]
    if fact.times is not None:
        window = f"toIntervalMillisecond({int(fact.times.within)})"
        return (
            f"SELECT {', '.join(labels)}, toFloat64(count()) AS value FROM facts "
            f"WHERE kind = '{fact.kind}' AND ts > {_TO} - {window} AND ts <= {_TO} "
            f"AND {' AND '.join(conditions)} GROUP BY {', '.join(map(_quoted, rule.labels))} "
            f"HAVING value > {fact.times.more_than}"
        )
    latest = (
        "SELECT cluster, entity, argMax(facts.body, (ts, ko)) AS body FROM facts "
        f"WHERE kind = '{fact.kind}' AND ts > {_TO} - toIntervalDay(14) AND ts <= {_TO} "
        f"GROUP BY cluster, entity, {_source(fact.kind)}"
    )
    return (
        f"SELECT {', '.join([*labels, 'toFloat64(1) AS value'])} FROM ({latest}) "
        f"WHERE {' AND '.join(conditions)}"
    )


def _source(kind: str) -> str:
    if kind == TRANSITION:
        return "JSONExtractString(facts.body, 'machine')"
    return "JSONExtractString(facts.body, 'id')"


def _field(name: str) -> str:
    return _PARTS.get(name, f"JSONExtractString(body, {_text(name)})")


def _number(name: str) -> str:
    return f"JSONExtractFloat(body, {_text(name)})"


def _condition(name: str, want: Want) -> str:
    if isinstance(want, int):
        return f"{_number(name)} = {want}"
    if isinstance(want, Compare):
        found = [f"{_number(name)} > {want.above:g}"] if want.above is not None else []
        found += [f"{_number(name)} < {want.below:g}"] if want.below is not None else []
        found += [f"{_field(name)} NOT LIKE {_like(glob)}" for glob in want.none_of]
        return " AND ".join(found)
    globs = [want] if isinstance(want, str) else want
    plain = [glob for glob in globs if "*" not in glob]
    found = [f"{_field(name)} IN ({', '.join(map(_text, plain))})"] if plain else []
    found += [f"{_field(name)} LIKE {_like(glob)}" for glob in globs if "*" in glob]
    return f"({' OR '.join(found)})"


def _like(glob: str) -> str:
    return _text(re.sub(r"([%_])", r"\\\1", glob).replace("*", "%"))


def _concat(template: str, column: Any) -> str:
    """A template as an expression of text."""
    parts = []
    for text in re.split(r"(\{\w+\})", template):
        if text.startswith("{"):
            parts.append(f"toString({column(text[1:-1])})")
        elif text:
            parts.append(_text(text))
    return parts[0] if len(parts) == 1 else f"concat({', '.join(parts)})"


def _literal(name: str, value: Any) -> str:
    if name == NOW:
        return _TO
    return _text(value) if isinstance(value, str) else f"{value:g}"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quoted(name: str) -> str:
    return f"`{name}`"
