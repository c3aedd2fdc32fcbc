"""The SQL of a dashboard's panel, made ready for the engine.

What Grafana and its ClickHouse data source 4.x do with a query, as far as our dashboards use it:
`$__conditionalAll(condition, $variable)`, `${variable:sqlstring}`, and the macros of time. Values
of variables come from a browser, so they never become SQL: they travel as parameters.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.base.errors import UsageError

ALL = "$__all"
_CONDITIONAL = "$__conditionalAll("
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
_MACRO = re.compile(r"\$__(\w+)")
_NAME = re.compile(r"\$\{?(\w+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """For which time (Unix ms, both ends included), in which steps, with which variables. A
    variable that is not there is empty; ALL among its values means no restriction."""

    from_ms: int
    to_ms: int
    interval_ms: int
    variables: Mapping[str, Sequence[str]]


def expand(sql: str, asked: Asked) -> tuple[str, dict[str, str]]:
    """The statement and its parameters. Raises UsageError for what is not known here."""
    parameters: dict[str, str] = {}
    text = _conditions(sql, asked)
    text = _VARIABLE.sub(lambda found: _values(found, asked, parameters), text)
    return _macros(text, asked), parameters


def _conditions(sql: str, asked: Asked) -> str:
    while (at := sql.rfind(_CONDITIONAL)) >= 0:
        arguments, end = _arguments(sql, at + len(_CONDITIONAL))
        name = _NAME.search(arguments[-1]) if len(arguments) == 2 else None
        if name is None:
            raise UsageError("$__conditionalAll needs a condition and a $variable")
        sql = sql[:at] + ("1=1" if _any(name[1], asked) else arguments[0]) + sql[end:]
    return sql


def _any(name: str, asked: Asked) -> bool:
    values = asked.variables.get(name, ())
    return ALL in values or not any(values)


def _values(found: re.Match[str], asked: Asked, parameters: dict[str, str]) -> str:
    name, form = found.groups()
    if form != "sqlstring":
        raise UsageError(f"${{{name}}} has no format `sqlstring`: its value would become SQL")
    places = []
    for value in asked.variables.get(name) or ("",):
        key = f"v{len(parameters)}"
        parameters[key] = value
        places.append(f"{{{key}:String}}")
    return ", ".join(places)


def _macros(sql: str, asked: Asked) -> str:
    done, at = [], 0
    while found := _MACRO.search(sql, at):
        done.append(sql[at : found.start()])
        name, at = found[1], found.end()
        if name in _FIXED:
            done.append(_FIXED[name](asked))
        elif name in _OF_COLUMN and sql[at : at + 1] == "(":
            arguments, at = _arguments(sql, at + 1)
            done.append(_OF_COLUMN[name](_macros(arguments[0], asked), asked))
        else:
            raise UsageError(f"the macro $__{name} is not known here")
    return "".join(done) + sql[at:]


def _arguments(sql: str, at: int) -> tuple[list[str], int]:
    """What stands between parentheses, parted by its own commas, and where they end. `at` is
    behind the opening one."""
    depth, start, quoted = 1, at, False
    found: list[str] = []
    while at < len(sql):
        letter = sql[at]
        if quoted:
            quoted = letter != "'" or sql[at - 1] == "\\"
        elif letter == "'":
            quoted = True
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
            if depth == 0:
                return [*found, sql[start:at].strip()], at + 1
        elif letter == "," and depth == 1:
            found.append(sql[start:at].strip())
            start = at + 1
        at += 1
    raise UsageError("a macro's parentheses are not closed")


def _s(ms: int) -> str:
    return f"toDateTime({ms // 1000}, 'UTC')"


def _ms(ms: int) -> str:
    return f"fromUnixTimestamp64Milli({ms}, 'UTC')"


def _seconds(asked: Asked) -> int:
    return max(asked.interval_ms // 1000, 1)


_FIXED: Mapping[str, Callable[[Asked], str]] = {
    "fromTime": lambda asked: _s(asked.from_ms),
    "toTime": lambda asked: _s(asked.to_ms),
    "fromTime_ms": lambda asked: _ms(asked.from_ms),
    "toTime_ms": lambda asked: _ms(asked.to_ms),
    "interval_s": lambda asked: str(_seconds(asked)),
}
_OF_COLUMN: Mapping[str, Callable[[str, Asked], str]] = {
    "timeFilter": lambda column, asked: (
        f"{column} >= {_s(asked.from_ms)} AND {column} <= {_s(asked.to_ms)}"
    ),
    "timeFilter_ms": lambda column, asked: (
        f"{column} >= {_ms(asked.from_ms)} AND {column} <= {_ms(asked.to_ms)}"
    ),
    "timeInterval": lambda column, asked: (
        f"toStartOfInterval(toDateTime({column}), INTERVAL {_seconds(asked)} second)"
    ),
    "timeInterval_ms": lambda column, asked: (
        f"toStartOfInterval(toDateTime64({column}, 3), "
        f"INTERVAL {max(asked.interval_ms, 1)} millisecond)"
    ),
}
