"""`aliyun_logs_*` environment variables (Alibaba Cloud SLS, log-pilot), log-pilot's labels: which
streams a container has by them. Light: the collector looks for the paths, too.

`aliyun_logs_NAME=stdout` sends a container's output to logstore NAME, a path as value what is
written to files inside the container; `aliyun_logs_NAME_project`, `_logstore`, `_tags`, `_format` …
say more about the stream.
Sources: Alibaba Cloud SLS, environment variables of containers; AliyunContainerService/log-pilot
docs/fluentd/docs.md, quick start.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pipeline.contract.record import PodVersion
from pipeline.contract.wishes import ALIYUN_ENVIRONMENT, LOG_PILOT
from pipeline.logconfig.paths import checked_path

STDOUT = "stdout"
_OPTIONS = (
    "format_pattern", "format", "tags", "target", "project", "logstore", "machinegroup", "shard",
    "ttl", "product", "hotttl", "configtags", "region", "estimate_time", "time_format",
    "logstoremode",
)  # fmt: skip


class Stream(NamedTuple):
    """`where` is stdout or a path; None: options of a stream that nobody names."""

    origin: str  # for people
    name: str
    where: str | None
    options: Mapping[str, str]


def of_variables(pod: PodVersion, container: str) -> list[Stream]:
    """By the environment of the container."""
    said = pod.env.get(container, {})
    return _streams(said, ALIYUN_ENVIRONMENT, "_", "variable")


def of_labels(pod: PodVersion) -> list[Stream]:
    """By labels or annotations `aliyun.logs.NAME`, `aliyun.logs.NAME.format` … of the pod."""
    return _streams({**pod.annotations, **pod.labels}, LOG_PILOT, ".", "label")


def own_files(pod: PodVersion, container: str) -> Iterator[tuple[str, str]]:
    """Paths and patterns of files that the pod itself wishes to be read of a container, and by
    what. Those that cannot be followed are left out; `misplaced` says why."""
    for stream in (*of_variables(pod, container), *of_labels(pod)):
        if stream.where and stream.where != STDOUT and not misplaced(stream):
            yield stream.where, stream.origin


def misplaced(stream: Stream) -> str:
    """Why nothing can belong to the stream; "" if something can."""
    if stream.where is None:
        options = ", ".join(sorted(stream.options))
        return f"{options} of a stream that is not there: {stream.name} is not set"
    if stream.where == STDOUT:
        return ""
    if not stream.where.startswith("/"):
        return f"{stream.where!r} is neither stdout nor a path"
    try:
        checked_path(stream.where)
    except ValueError as error:
        return f"{stream.where!r}: {error}"
    return ""


def _streams(said: Mapping[str, str], prefix: str, separator: str, what: str) -> list[Stream]:
    """`said` may have more than what begins with `prefix`."""
    named = {name.removeprefix(prefix): said[name] for name in said if name.startswith(prefix)}
    streams: dict[str, dict[str, str]] = {}
    for name in sorted(named):
        stream, option = _split(name, separator)
        if stream:
            streams.setdefault(stream, {})[option] = named[name]
    return [
        Stream(f"{what} {prefix}{name}", name, options.pop("", None), options)
        for name, options in streams.items()
    ]


def _split(name: str, separator: str) -> tuple[str, str]:
    """A stream's name may hold the separator itself, so the ends are compared."""
    for option in _OPTIONS:
        end = separator + option.replace("_", separator)
        if name.endswith(end) and name != end:
            return name.removesuffix(end), option
    return name, ""
