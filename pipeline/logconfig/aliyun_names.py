"""`aliyun_logs_*` environment variables (Alibaba Cloud SLS, log-pilot), and log-pilot's labels.

`aliyun_logs_NAME=stdout` sends a container's output to logstore NAME; `aliyun_logs_NAME_project`,
`_logstore`, `_tags`, `_format` … say more about it. Every container's output is stored here, so
what remains of it are fields (logstore, project, tags) and, with log-pilot, the format. A path
as value means files inside the container.
Sources: Alibaba Cloud SLS, environment variables of containers; AliyunContainerService/log-pilot
docs/fluentd/docs.md, quick start.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.contract.wishes import ALIYUN_ENVIRONMENT, LOG_PILOT
from pipeline.logconfig.claims import Claim, Problem, Rank, Wishes
from pipeline.logconfig.reading import BadSettings, settings

_OPTIONS = (
    "format_pattern", "format", "tags", "target", "project", "logstore", "machinegroup", "shard",
    "ttl", "product", "hotttl", "configtags", "region", "estimate_time", "time_format",
)  # fmt: skip
_INSTEAD = "a LogConfig with `files` reads those in emptyDir and hostPath volumes"
_ATTRIBUTES = {"project": "project", "logstore": "logstore", "target": "logstore"}
_FORMATS = {"json": "json", "nginx": "nginx", "none": "none", "csv": "", "apache2": "nginx"}


def environment(variables: Mapping[str, str]) -> Wishes:
    """`variables` of one container; those of another name are ignored."""
    named = {
        name.removeprefix(ALIYUN_ENVIRONMENT): text
        for name, text in variables.items()
        if name.startswith(ALIYUN_ENVIRONMENT)
    }
    return _streams(named, "_", "variable " + ALIYUN_ENVIRONMENT, Rank.ALIYUN_ENVIRONMENT)


def log_pilot(labels: Mapping[str, str]) -> Wishes:
    """Labels or annotations `aliyun.logs.NAME`, `aliyun.logs.NAME.format` …"""
    named = {
        name.removeprefix(LOG_PILOT): text
        for name, text in labels.items()
        if name.startswith(LOG_PILOT)
    }
    return _streams(named, ".", "label " + LOG_PILOT, Rank.LOG_PILOT)


def _streams(named: Mapping[str, str], separator: str, origin: str, rank: Rank) -> Wishes:
    streams: dict[str, dict[str, str]] = {}
    found = Wishes()
    for name in sorted(named):
        stream, option = _split(name, separator, named)
        if stream:
            streams.setdefault(stream, {})[option] = named[name]
    for stream, options in streams.items():
        found += _stream(stream, options, origin + stream, rank)
    return found


def _split(name: str, separator: str, named: Mapping[str, str]) -> tuple[str, str]:
    """A stream's name may hold the separator itself, so the ends are compared."""
    for option in _OPTIONS:
        end = separator + option.replace("_", separator)
        if name.endswith(end) and name != end:
            return name.removesuffix(end), option
    return name, ""


def _stream(stream: str, options: dict[str, str], origin: str, rank: Rank) -> Wishes:
    where = options.pop("", None)
    if where is None:
        text = f"{', '.join(sorted(options))} of a stream that is not there: {stream} is not set"
        return Wishes(problems=[Problem(origin, text)])
    if where != "stdout":
        if where.startswith("/"):
            text = f"files inside the container ({where}) are not read for this; {_INSTEAD}"
            return Wishes(notes=[Problem(origin, text)])
        return Wishes(problems=[Problem(origin, f"{where!r} is neither stdout nor a path")])
    attributes = {"logstore": stream}
    problems = []
    for option, text in sorted(options.items()):
        if option in _ATTRIBUTES:
            attributes[_ATTRIBUTES[option]] = text
        elif option == "tags":
            for pair in filter(None, (pair.strip() for pair in text.split(","))):
                key, equals, value = pair.partition("=")
                if not equals or not key.strip():
                    problems.append(Problem(f"{origin} tags", f"{pair!r} is not key=value"))
                else:
                    attributes[key.strip()] = value.strip()
    values: dict[str, Any] = {"attributes": attributes}
    parse, problem = _format(options)
    if problem:
        problems.append(Problem(f"{origin} format", problem))
    try:
        return Wishes([Claim(rank, origin, settings(parse=parse, **values))], problems)
    except BadSettings as error:
        return Wishes(
            problems=[*problems, *(Problem(origin, text) for _, text in error.complaints)]
        )


def _format(options: Mapping[str, str]) -> tuple[dict[str, str] | None, str]:
    wish = options.get("format")
    if wish is None:
        return None, ""
    if wish == "regexp":
        pattern = options.get("format_pattern", "")
        return {"format": "regex", "pattern": pattern.replace("(?<", "(?P<")}, ""
    known = _FORMATS.get(wish)
    if known is None:
        return None, f"{wish!r} is not one of {', '.join(_FORMATS)}, regexp"
    return ({"format": known}, "") if known else (None, f"{wish} is not supported")
