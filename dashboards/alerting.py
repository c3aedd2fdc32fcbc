"""Alert rules for a Grafana: the provisioning files that `kubeledger render alerts` writes, pushed
by the provisioning API (`/api/v1/provisioning`) instead of being put into Grafana's file system.

What the API has written is marked `api` there, and Grafana itself keeps people from changing it in
the browser. So what lacks the mark was made, or set free, by hand: it is written over only by
force. What Grafana got from files is refused. The tree of notification policies is one for the
whole Grafana: only routes to our contact points are put in or replaced, they hold for our folder
alone, and the rest stays as it is, editable.

Secrets in the files are places, `${NAME}`, filled from the environment as Grafana would. They
cannot be read back: a secret that alone has changed is written only by force.

Facts of the API: grafana/grafana pkg/services/ngalert (api/api_provisioning.go, provisioning/).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from dashboards.push import (
    CHANGED,
    EDITED,
    FOLDER_TITLE,
    FOLDER_UID,
    NEW,
    SAME,
    Grafana,
    PushError,
    Step,
    difference,
)

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is
_API = "/v1/provisioning"
_PREFIX = "kubeledger-"  # of the names of contact points
_HIDDEN = "[REDACTED]"  # what Grafana shows of a secret
_SHOWN = "(a secret)"
_PLACE = re.compile(r"\$\{(\w+)\}")
_OURS = ["grafana_folder", "=", FOLDER_TITLE]
_SPANS = ("for", "keep_firing_for", "group_wait", "group_interval", "repeat_interval")
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


@dataclass(slots=True)
class Files:
    """Documents of all files, by kind, as the API takes them."""

    groups: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    routes: list[dict[str, Any]] = field(default_factory=list)
    times: list[dict[str, Any]] = field(default_factory=list)


def read_files(folder: Path) -> Files:
    """Raises PushError that names the file."""
    paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    found = Files()
    for path in paths:
        try:
            document = yaml.load(path.read_text("utf-8"), _LOADER)  # noqa: S506 - a safe one
            if not isinstance(document, dict) or document.get("apiVersion") != 1:
                raise PushError(f"{path} is no provisioning file (apiVersion: 1)", usage=True)
            _take(found, document)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise PushError(f"{path}: cannot be read: {error}", usage=True) from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PushError(f"{path}: not as `render alerts` writes it: {error!r}",
                            usage=True) from None  # fmt: skip
    if not found.groups:
        raise PushError(f"{folder}: no rules; write them with `kubeledger render alerts --out "
                        f"{folder}`", usage=True)  # fmt: skip
    return found


def _take(found: Files, document: Mapping[str, Any]) -> None:
    for group in document.get("groups", []):
        if group["folder"] != FOLDER_TITLE:
            raise ValueError(f"group {group['name']} is for another folder, {group['folder']}")
        found.groups.append(_group(group))
    for point in document.get("contactPoints", []):
        for one in point["receivers"]:
            found.points.append({**one, "name": point["name"]})
    for policy in document.get("policies", []):
        for route in policy["routes"]:
            # in Grafana's order
            matchers = sorted([_OURS, *route.get("object_matchers", [])])
            full = {key: value for key, value in route.items() if value != []}
            found.routes.append(_canonical({**full, "object_matchers": matchers}))
    for timing in document.get("muteTimes", []):
        found.times.append({key: timing[key] for key in ("name", "time_intervals")})


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    rules = []
    for rule in group["rules"]:
        given = {key: value for key, value in rule.items() if key != "keepFiringFor"}
        if rule.get("keepFiringFor", "0s") != "0s":  # Grafana before 12 does not know it
            given["keep_firing_for"] = rule["keepFiringFor"]
        rules.append(_canonical(given) | {
            "orgID": group["orgId"], "folderUID": FOLDER_UID, "ruleGroup": group["name"],
        })  # fmt: skip
    interval = _ms(group["interval"]) // 1_000
    return {"title": group["name"], "folderUid": FOLDER_UID, "interval": interval, "rules": rules}


def alert_steps(
    grafana: Grafana, files: Files, environment: Mapping[str, str], *, force: bool = False
) -> Iterator[Step]:
    """In the order in which Grafana can take them: what is named before who names it."""
    for timing in files.times:
        yield _timing_step(grafana, timing)
    there = {point["uid"]: point for point in grafana.get(f"{_API}/contact-points") or []}
    for point in files.points:
        full = {**point, "settings": _filled(point["settings"], point["name"], environment)}
        yield _point_step(there.get(point["uid"]), full, point, force=force)
    if files.routes:
        yield _policy_step(grafana.get(f"{_API}/policies") or {}, files.routes)
    for group in files.groups:
        yield _group_step(grafana, group)


def _timing_step(grafana: Grafana, wanted: dict[str, Any]) -> Step:
    what, name = f"mute timing {wanted['name']}", quote(wanted["name"])
    there = grafana.get(f"{_API}/mute-timings/{name}")
    if there is None:
        return Step(what, NEW, path=f"{_API}/mute-timings", document=wanted)
    lines = difference(_shape(there, wanted), wanted)
    return Step(what, _state(what, [there], lines), lines, "PUT", f"{_API}/mute-timings/{name}",
                wanted)  # fmt: skip


def _point_step(
    there: Mapping[str, Any] | None, wanted: dict[str, Any], shown: Mapping[str, Any], *,
    force: bool,
) -> Step:  # fmt: skip
    """`shown` has places instead of secrets: only it may be seen."""
    what = f"contact point {wanted['name']}"
    if there is None:
        return Step(what, NEW, path=f"{_API}/contact-points", document=wanted)
    secret = {key for key, value in shown["settings"].items() if _PLACE.search(str(value))}
    before, after = _shape(there, wanted), {**wanted, "settings": dict(wanted["settings"])}
    for key in secret:
        same = before["settings"].get(key) in (_HIDDEN, after["settings"][key])
        after["settings"][key] = _SHOWN
        before["settings"][key] = _SHOWN if same and not force else "(another)"
    lines = difference(before, after)
    return Step(what, _state(what, [there], lines), lines, "PUT",
                f"{_API}/contact-points/{quote(wanted['uid'])}", wanted)  # fmt: skip


def _policy_step(there: dict[str, Any], routes: Sequence[dict[str, Any]]) -> Step:
    what = "notification policies"
    mark = there.pop("provenance", "")
    old = there.get("routes") or []
    ours = [route for route in old if str(route.get("receiver", "")).startswith(_PREFIX)]
    others = [route for route in old if route not in ours]
    before = [_shape(now, new) for now, new in zip(ours, routes, strict=False)]
    lines = difference([*before, *ours[len(routes) :]], list(routes))
    if lines and mark == "file":
        raise PushError(_from_file(what))
    # Ours come first and let go on: theirs still see every alert that they saw.
    document = {**there, "routes": [*routes, *others]}
    state = SAME if not lines else CHANGED if mark == "api" or not ours else EDITED
    return Step(what, state, lines, "PUT", f"{_API}/policies", document, unlocked=mark != "api")


def _group_step(grafana: Grafana, wanted: dict[str, Any]) -> Step:
    what = f"rules {wanted['title']}"
    path = f"{_API}/folder/{FOLDER_UID}/rule-groups/{quote(wanted['title'])}"
    there = grafana.get(path)
    if there is None:
        return Step(what, NEW, (), "PUT", path, wanted)
    by_uid = {rule["uid"]: rule for rule in there.get("rules") or []}
    now = {rule["uid"]: by_uid.pop(rule["uid"]) for rule in wanted["rules"]
           if rule["uid"] in by_uid}  # fmt: skip
    rules = [_shape(now[rule["uid"]], rule) for rule in wanted["rules"] if rule["uid"] in now]
    # a rule of somebody else in our group would be taken away by the write
    before = {**_shape(there, {**wanted, "rules": []}), "rules": [*rules, *by_uid.values()]}
    lines = difference(before, wanted)
    paused = {uid for uid, rule in now.items() if rule.get("isPaused")}
    document = {**wanted, "rules": [{**rule, "isPaused": rule["uid"] in paused}
                                    for rule in wanted["rules"]]}  # fmt: skip
    state = _state(what, [*now.values(), *by_uid.values()], lines)
    return Step(what, state, lines, "PUT", path, document)


def _state(what: str, there: Sequence[Mapping[str, Any]], lines: Sequence[str]) -> str:
    marks = {str(one.get("provenance") or "") for one in there}
    if not lines:
        return SAME
    if "file" in marks:
        raise PushError(_from_file(what))
    return CHANGED if marks <= {"api"} else EDITED


def _from_file(what: str) -> str:
    return f"{what}: Grafana has it from provisioning files, and lets nothing else change it"


def _filled(settings: Any, name: str, environment: Mapping[str, str]) -> Any:
    if isinstance(settings, dict):
        return {key: _filled(value, name, environment) for key, value in settings.items()}
    if not isinstance(settings, str):
        return settings

    def value(place: re.Match[str]) -> str:
        if not environment.get(place[1]):
            raise PushError(f"contact point {name}: the environment has no {place[1]}", usage=True)
        return environment[place[1]].strip()

    return _PLACE.sub(value, settings)


def _shape(there: Any, wanted: Any) -> Any:
    """What Grafana has of what we want: it adds fields of its own."""
    if isinstance(there, Mapping) and isinstance(wanted, Mapping):
        return {key: _shape(there.get(key), value) for key, value in wanted.items()}
    if isinstance(there, list) and isinstance(wanted, list) and len(there) == len(wanted):
        return [_shape(now, new) for now, new in zip(there, wanted, strict=True)]
    return there


def _canonical(document: Mapping[str, Any]) -> dict[str, Any]:
    """Spans as Grafana writes them back (prometheus/common model.Duration)."""
    return {key: _span(value) if key in _SPANS else value for key, value in document.items()}


def _span(text: str) -> str:
    left, parts = _ms(text), []
    for unit, size in reversed(_UNITS.items()):
        if left >= size and (unit != "w" or left % size == 0):
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(parts) or "0s"


def _ms(text: str) -> int:
    found = re.findall(r"(\d+)(ms|s|m|h|d|w)", str(text))
    if "".join(number + unit for number, unit in found) != text:
        raise ValueError(f"{text!r} is no span of time")
    return sum(int(number) * _UNITS[unit] for number, unit in found)
