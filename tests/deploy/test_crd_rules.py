"""The CEL rules of the CRDs, evaluated: what `kubeledger check` refuses the API server refuses, and
what it takes the API server takes. Another implementation of CEL than the API server's (cel-go),
and of regular expressions (both without backtracking, look-around and back references)."""

from collections.abc import Iterator
from typing import Any

import cel
import pytest

from pipeline.logconfig.complaints import BadSettings
from pipeline.logconfig.crd import custom_resources
from pipeline.logconfig.reading import read_spec
from pipeline.logconfig.spec import CEL

SCHEMAS = {
    found["spec"]["names"]["kind"]: found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for found in custom_resources()
}
Failure = tuple[str, str]  # where, message of the rule


def broken(schema: dict[str, Any], value: Any, place: str = "") -> Iterator[Failure]:
    """Rules that do not hold, as the API server evaluates them: at each place that is there."""
    for rule in schema.get(CEL, ()):
        try:
            holds = cel.evaluate(rule["rule"], {"self": value})
        except (RuntimeError, ValueError, TypeError):
            holds = False  # an error is a refusal
        if holds is not True:
            yield place, rule["message"]
    if isinstance(value, dict):
        for name, inner in value.items():
            child = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if isinstance(child, dict):
                yield from broken(child, inner, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from broken(schema.get("items", {}), inner, place)


RE2, TRACE = "not an RE2 pattern", "exactly one of trace and start"
DOTS = "a path has no . and no .."
STARS = "** stands for directories: alone between two slashes, and a name behind"
WHOLE = "a quota is for whole namespaces: select by namespaces alone"
VALUES = "In and NotIn need values; Exists and DoesNotExist take none"
NEEDED, NAMELESS = ("pattern is for format regex, which needs it",
                    "pattern names no field: write (?P<name>...)")  # fmt: skip


def selecting(**expression: Any) -> dict[str, Any]:
    return {"selector": {"matchExpressions": [{"key": "app", **expression}]}, "exclude": "all"}


CASES: list[tuple[dict[str, Any], set[str]]] = [
    (selecting(operator="In", values=["a"]), set()),
    (selecting(operator="In"), {VALUES}),
    (selecting(operator="NotIn", values=[]), {VALUES}),
    (selecting(operator="Exists"), set()),
    (selecting(operator="DoesNotExist", values=["a"]), {VALUES}),
    ({"includeLines": ["^a", "b.*c"]}, set()),
    ({"includeLines": ["^a", "("]}, {RE2}),
    ({"excludeLines": ["(?=x)"]}, {RE2}),
    ({"excludeLines": ["错误|警告"]}, set()),
    ({"multiline": {"trace": "java"}}, set()),
    ({"multiline": {"start": "^\\d"}}, set()),
    ({"multiline": {}}, {TRACE}),
    ({"multiline": {"trace": "java", "start": "^x"}}, {TRACE}),
    ({"multiline": {"start": "[z-a]"}}, {RE2}),
    ({"parse": {"format": "json"}}, set()),
    ({"parse": {"format": "regex", "pattern": "(?P<a>.*)"}}, set()),
    ({"parse": {"format": "regex", "pattern": "(?P<a>.*"}}, {RE2}),
    ({"parse": {"format": "regex", "pattern": "(.*)"}}, {NAMELESS}),
    ({"parse": {"format": "regex"}}, {NEEDED}),
    ({"parse": {"format": "json", "pattern": "(?P<a>.*)"}}, {NEEDED}),
    ({"redact": {"patterns": [{"name": "id", "pattern": "\\d+"}]}}, set()),
    ({"redact": {"patterns": [{"name": "id", "pattern": "(a)\\1"}]}}, {RE2}),
    ({"sample": {"rate": 0.5, "keep": ["ERROR"]}}, set()),
    ({"sample": {"rate": 0.5, "keep": ["*"]}}, {RE2}),
    ({"files": ["/var/log/app/*.log", "/data/...log"]}, set()),
    ({"files": ["/var/log/../app.log"]}, {DOTS}),
    ({"files": ["/./app.log"]}, {DOTS}),
    ({"files": ["/*/app.log", "/**/app.log", "/a?/**/b/**/*"]}, set()),
    ({"files": ["/logs/**"]}, {STARS}),
    ({"files": ["/logs/a**/app.log"]}, {STARS}),
    ({"files": ["/logs/***/app.log"]}, {STARS}),
    ({"files": ["/logs/**b/app.log"]}, {STARS}),
]
QUOTA = {"bytesPerSecond": 1_000_000}
CLUSTER_CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({"quota": QUOTA}, set()),
    ({"quota": QUOTA, "selector": {"namespaces": ["shop"]}}, set()),
    ({"quota": QUOTA, "selector": {"matchLabels": {"app": "web"}}}, {WHOLE}),
    ({"quota": QUOTA, "selector": {"containers": ["main"]}}, {WHOLE}),
]
OF = [(kind, *case) for kind in SCHEMAS for case in CASES]
OF += [("ClusterLogConfig", *case) for case in CLUSTER_CASES]


@pytest.mark.parametrize(
    ("kind", "spec", "messages"), OF, ids=[f"{kind} {spec}"[:80] for kind, spec, _ in OF]
)
def test_rules_say_what_the_reader_says(
    kind: str, spec: dict[str, Any], messages: set[str]
) -> None:
    found = {text for _, text in broken(SCHEMAS[kind]["properties"]["spec"], spec)}
    assert found == messages
    if messages:
        with pytest.raises(BadSettings):
            read_spec(spec, cluster=True)
    else:
        read_spec(spec, cluster=True)


def rules(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (rule["message"] for rule in schema.get(CEL, ()))
        for inner in schema.values():
            yield from rules(inner)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_rule_has_been_broken(kind: str) -> None:
    assert set(rules(SCHEMAS[kind])) == set().union(*(texts for of, _, texts in OF if of == kind))
