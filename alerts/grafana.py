"""The same rules for people who have Grafana evaluate them: alerting provisioning files
(apiVersion 1: rule groups, contact points, notification policies, mute timings), and the JSON
schema of rules. `kubeledger push grafana --alerts` reads these files.

Secrets are places (`${KUBELEDGER_…}`) that Grafana fills from its own environment.
"""

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import yaml

from alerts.config import (
    AlertConfig,
    AlertmanagerConfig,
    AnyReceiver,
    DingTalkConfig,
    FeishuConfig,
    MailConfig,
    PagerDutyConfig,
    SlackConfig,
    WebhookConfig,
    WeComConfig,
)
from alerts.durations import show_duration
from alerts.grafana_sql import query_of
from alerts.matchers import parse_matcher
from alerts.model import Rule
from alerts.mute import MuteTiming
from alerts.templates import places

DATASOURCE = "clickhouse"
FOLDER = "kubeledger"
_INTERVALS = (("facts", "10s"), ("queries", "1m"))
_WINDOW_S = 600
_TABLE = 1  # `format` of the data source's query
_PREFIX = "kubeledger-"  # of all names: a Grafana has others, too
# Grafana has no integration for Feishu, but webhooks whose body is a template (since 12.0).
_FEISHU = """{{ coll.Dict "msg_type" "interactive" "card" (coll.Dict
  "header" (coll.Dict
    "template" (tmpl.Inline "{{ if eq .Status \\"resolved\\" }}green{{ else }}red{{ end }}" .)
    "title" (coll.Dict "tag" "plain_text" "content" (tmpl.Exec "default.title" .)))
  "elements" (coll.Slice
    (coll.Dict "tag" "markdown" "content" (tmpl.Exec "default.message" .)))
) | data.ToJSON }}"""


def provisioning(rules: Sequence[Rule], config: AlertConfig) -> dict[str, str]:
    """File name -> text."""
    groups = [_group(name, interval, rules, config) for name, interval in _INTERVALS]
    made = {"rules.yaml": {"apiVersion": 1, "groups": [g for g in groups if g["rules"]]}}
    points = [_contact(one) for one in config.receivers if _known(one)]
    if points:
        made["contact-points.yaml"] = {"apiVersion": 1, "contactPoints": points}
        made["policies.yaml"] = {"apiVersion": 1, "policies": [_policy(config)]}
    if config.mute_timings:
        times = [_mute_time(timing) for timing in config.mute_timings]
        made["mute-timings.yaml"] = {"apiVersion": 1, "muteTimes": times}
    return {
        name: yaml.safe_dump(text, sort_keys=False, allow_unicode=True, width=1_000)
        for name, text in made.items()
    }


def schema() -> str:
    """Of a rule file, for editors."""
    found = Rule.model_json_schema(by_alias=True)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"} | found, indent=1)


def _group(name: str, interval: str, rules: Sequence[Rule], config: AlertConfig) -> dict[str, Any]:
    mine = [
        rule
        for rule in rules
        if rule.name not in config.disabled
        and (rule.fact is not None if name == "facts" else rule.sql is not None)
    ]
    return {
        "orgId": 1,
        "name": _PREFIX + name,
        "folder": FOLDER,
        "interval": interval,
        "rules": [_rule(rule, config) for rule in mine],
    }


def _rule(rule: Rule, config: AlertConfig) -> dict[str, Any]:
    sql = query_of(rule, config.parameters.get(rule.name, {}))
    model = {"refId": "A", "editorType": "sql", "queryType": "table", "format": _TABLE,
             "rawSql": sql}  # fmt: skip
    annotations = {"summary": _gotemplate(rule.summary, rule)}
    if config.runbooks:
        annotations["runbook_url"] = f"{config.runbooks.rstrip('/')}/{rule.name}.md"
    return {
        "uid": f"kl-{blake2b(rule.name.encode(), digest_size=8).hexdigest()}",
        "title": rule.name,
        "condition": "C",
        "for": show_duration(rule.for_),
        "keepFiringFor": show_duration(rule.keep_firing_for),
        "noDataState": "OK",  # no row: no condition holds
        "execErrState": "Error",
        "labels": {"severity": rule.severity},
        "annotations": annotations,
        "data": [
            {
                "refId": "A",
                "datasourceUid": DATASOURCE,
                "relativeTimeRange": {"from": _WINDOW_S, "to": 0},
                "model": model,
            },
            _expression("B", {"type": "reduce", "expression": "A", "reducer": "last"}),
            _expression("C", {"type": "math", "expression": "is_number($B)"}),
        ],
    }


def _expression(ref: str, model: dict[str, Any]) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasourceUid": "__expr__",
        "relativeTimeRange": {"from": _WINDOW_S, "to": 0},
        "model": {"refId": ref} | model,
    }


def _gotemplate(text: str, rule: Rule) -> str:
    """Labels are what Grafana knows of a row; of other fields it has the number alone."""
    for name in places(text):
        known = next((k for k, v in rule.labels.items() if v == f"{{{name}}}"), None)
        if known is not None:
            place = f"{{{{ $labels.{known} }}}}"
        else:
            place = "{{ $values.B.Value }}" if name == "value" else "…"
        text = text.replace(f"{{{name}}}", place)
    return text


def _known(one: AnyReceiver) -> bool:
    """Grafana cannot sign what it sends, and a Feishu bot with a secret takes nothing else."""
    return _integration(one) is not None


def _contact(one: AnyReceiver) -> dict[str, Any]:
    kind, settings = _integration(one) or ("", {})
    receiver = {
        "uid": f"kl-{one.name}",
        "type": kind,
        "settings": settings,
        "disableResolveMessage": not one.send_resolved,
    }
    return {"orgId": 1, "name": _PREFIX + one.name, "receivers": [receiver]}


def _integration(one: AnyReceiver) -> tuple[str, dict[str, Any]] | None:
    if isinstance(one, AlertmanagerConfig):
        return "prometheus-alertmanager", {"url": ",".join(one.urls)}
    if isinstance(one, SlackConfig):
        return "slack", {"url": _place(one.name, "url")}
    if isinstance(one, DingTalkConfig):
        return "dingding", {"url": _place(one.name, "url"), "msgType": "link"}
    if isinstance(one, WeComConfig):
        return "wecom", {"url": _place(one.name, "url")}
    if isinstance(one, FeishuConfig) and one.secret is None:
        url = _place(one.name, "url")
        return "webhook", {"url": url, "httpMethod": "POST", "payload": {"template": _FEISHU}}
    if isinstance(one, PagerDutyConfig):
        return "pagerduty", {"integrationKey": _place(one.name, "routing_key")}
    if isinstance(one, WebhookConfig):
        return "webhook", {"url": one.url, "httpMethod": "POST"}
    if isinstance(one, MailConfig):
        return "email", {"addresses": ";".join(one.to)}
    return None


def _mute_time(timing: MuteTiming) -> dict[str, Any]:
    found = timing.model_dump(exclude_defaults=True)
    for interval in found["time_intervals"]:
        interval.setdefault("location", "UTC")
    return {"orgId": 1, "name": _PREFIX + timing.name, "time_intervals": found["time_intervals"]}


def _place(name: str, what: str) -> str:
    return "${KUBELEDGER_" + f"{name}_{what}".upper().replace("-", "_") + "}"


def _policy(config: AlertConfig) -> dict[str, Any]:
    """Each receiver gets what it matches, as in the evaluator."""
    known = [one for one in config.receivers if _known(one)]
    routes = []
    for one in known:
        matchers = [parse_matcher(text) for text in one.match]
        routes.append(
            {
                "receiver": _PREFIX + one.name,
                "object_matchers": [[m.label, m.operator, m.value] for m in matchers],
                "group_by": ["incident", "alertname"],
                "group_wait": show_duration(one.group_wait or 1_000),
                "group_interval": show_duration(one.group_interval or 30_000),
                "repeat_interval": show_duration(max(one.repeat, 60_000)),
                "mute_time_intervals": [_PREFIX + name for name in one.mute],
                "continue": True,
            }
        )
    return {
        "orgId": 1,
        "receiver": _PREFIX + known[0].name,
        "group_by": ["incident", "alertname"],
        "routes": routes,
    }
