"""The alerting half of the server that behaves as Grafana: its provisioning API, as read in
grafana/grafana pkg/services/ngalert: api/api_provisioning.go, provisioning/contactpoints.go,
notification_policies.go, alert_rules.go.

What it does that a push must live with: fields that it adds (`id`, `updated`, `isPaused`,
`intervalMs`), spans that come back in another form, secrets that come back redacted, marks of
provenance that nobody else may change, and names that must exist before they are used (400).
"""

import copy
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

PREFIX = "/api/v1/provisioning/"
SECRET = {"slack": "url", "dingding": "url", "wecom": "url", "pagerduty": "integrationKey"}
_AGAIN = {"60s": "1m", "24h": "1d", "60m": "1h", "7d": "1w"}
Answer = tuple[int, Any]


def _default_policy() -> dict[str, Any]:
    return {"receiver": "grafana-default-email", "group_by": ["grafana_folder", "alertname"]}


@dataclass
class Alerting:
    """What it holds: rule groups by (folder, name), contact points by uid, mute timings by name."""

    groups: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    points: dict[str, dict[str, Any]] = field(default_factory=dict)
    times: dict[str, dict[str, Any]] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=_default_policy)

    def rule(self, group: str, title: str) -> dict[str, Any]:
        rules = self.groups["kubeledger", group]["rules"]
        return next(rule for rule in rules if rule["title"] == title)

    def get(self, path: str) -> Answer:
        match [unquote(part) for part in path.split("/")]:
            case ["policies"]:
                return 200, self.policy
            case ["contact-points"]:
                return 200, [_redacted(point) for point in self.points.values()]
            case ["mute-timings", name] if name in self.times:
                return 200, self.times[name]
            case ["folder", folder, "rule-groups", name] if (folder, name) in self.groups:
                return 200, self.groups[folder, name]
        return 404, {"message": "not found"}

    def put(
        self, method: str, path: str, body: dict[str, Any], mark: str, folders: dict[str, Any]
    ) -> Answer:
        match method, *[unquote(part) for part in path.split("/")]:
            case "POST", "mute-timings":
                if body["name"] in self.times:
                    return 400, {"message": "time interval with the same name already exists"}
                self.times[body["name"]] = {**body, "provenance": mark}
                return 201, body
            case "PUT", "mute-timings", name if name in self.times:
                return self._over(self.times, name, body, mark)
            case "POST", "contact-points":
                self.points[body["uid"]] = {**body, "provenance": mark}
                return 202, _redacted(body)
            case "PUT", "contact-points", uid if uid in self.points:
                return self._over(self.points, uid, body, mark)
            case "PUT", "policies":
                return self._put_policy(body, mark)
            case "PUT", "folder", folder, "rule-groups", name if folder in folders:
                return self._put_group(folder, name, body, mark)
        return 404, {"message": "not found"}

    def _over(
        self, held: dict[str, dict[str, Any]], name: str, body: dict[str, Any], mark: str
    ) -> Answer:
        if held[name]["provenance"] not in ("", mark):
            return 403, {"message": "cannot change provenance"}
        held[name] = {**body, "provenance": mark}
        return 202, {"message": "updated"}

    def _put_policy(self, body: dict[str, Any], mark: str) -> Answer:
        names = {point["name"] for point in self.points.values()} | {self.policy["receiver"]}
        for route in body.get("routes", []):
            if route["receiver"] not in names:
                return 400, {"message": f"receiver '{route['receiver']}' does not exist"}
            for timing in route.get("mute_time_intervals", []):
                if timing not in self.times:
                    return 400, {"message": f"mute time interval '{timing}' does not exist"}
        stored = copy.deepcopy(body)
        for route in stored.get("routes", []):
            if "object_matchers" in route:
                route["object_matchers"].sort(key=lambda matcher: matcher[0])
        self.policy = stored | ({"provenance": mark} if mark else {})
        return 202, {"message": "policies updated"}

    def _put_group(self, folder: str, name: str, body: dict[str, Any], mark: str) -> Answer:
        titles = [rule["title"] for rule in body["rules"]]
        if len(set(titles)) < len(titles):
            return 400, {"message": "rule title under the same organisation and folder is used"}
        if body["interval"] % 10:
            return 400, {"message": "invalid alert rule: interval should be divided by 10"}
        rules = []
        for number, rule in enumerate(copy.deepcopy(body["rules"])):
            for key in ("for", "keep_firing_for"):
                rule.setdefault(key, "0s")
                if not re.fullmatch(r"(\d+(ms|[smhdw]))+", rule[key]):
                    return 400, {"message": f"not a valid duration string: {rule[key]!r}"}
                rule[key] = _AGAIN.get(rule[key], rule[key])
            for query in rule["data"]:
                query["queryType"] = query.get("queryType", "")
                query["model"] = {"intervalMs": 1000, "maxDataPoints": 43200} | query["model"]
            rules.append({"isPaused": False, "record": None} | rule | {
                "id": number + 1, "updated": "2026-11-26T00:00:00Z", "provenance": mark,
            })  # fmt: skip
        self.groups[folder, name] = {"title": name, "folderUid": folder,
                                     "interval": body["interval"], "rules": rules}  # fmt: skip
        return 200, body


def _redacted(point: dict[str, Any]) -> dict[str, Any]:
    shown = copy.deepcopy(point)
    key = SECRET.get(point["type"])
    if key in shown["settings"]:
        shown["settings"][key] = "[REDACTED]"
    return shown
