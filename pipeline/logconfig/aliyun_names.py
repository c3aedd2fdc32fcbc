"""Streams that a pod names in `aliyun_logs_*` variables or log-pilot's labels -> claims.

Every container's output is stored here, so what remains of a stream of it are fields (logstore,
project, tags) and, with log-pilot, the format. A stream of files is a wish to read them, and says
the same about their lines.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.contract.record import PodVersion
from pipeline.logconfig.aliyun_streams import STDOUT, Stream, misplaced, of_labels, of_variables
from pipeline.logconfig.claims import Claim, Problem, Rank, Wishes
from pipeline.logconfig.complaints import BadSettings
from pipeline.logconfig.paths import path_matches
from pipeline.logconfig.reading import settings

_ATTRIBUTES = {"project": "project", "logstore": "logstore", "target": "logstore"}
_FORMATS = {"json": "json", "nginx": "nginx", "none": "none", "csv": "", "apache2": "nginx"}


def environment(pod: PodVersion, container: str, file: str = "") -> Wishes:
    """About what the container prints, or about a file (or a pattern) of it."""
    return _wishes(of_variables(pod, container), Rank.ALIYUN_ENVIRONMENT, file)


def log_pilot(pod: PodVersion, file: str = "") -> Wishes:
    """Likewise."""
    return _wishes(of_labels(pod), Rank.LOG_PILOT, file)


def _wishes(streams: Iterable[Stream], rank: Rank, file: str) -> Wishes:
    found = Wishes()
    for stream in streams:
        wrong = misplaced(stream)
        if wrong and not file:
            found += Wishes(problems=[Problem(stream.origin, wrong)])
        elif not wrong and _concerns(stream, file):
            found += _wish(stream, rank)
    return found


def _concerns(stream: Stream, file: str) -> bool:
    """Of a stream that is not misplaced."""
    if not stream.where or stream.where == STDOUT:
        return not file
    return bool(file) and path_matches(file, stream.where)


def _wish(stream: Stream, rank: Rank) -> Wishes:
    attributes, problems = {"logstore": stream.name}, []
    for option, text in sorted(stream.options.items()):
        if option in _ATTRIBUTES:
            attributes[_ATTRIBUTES[option]] = text
        elif option == "tags":
            for pair in filter(None, (pair.strip() for pair in text.split(","))):
                key, equals, value = pair.partition("=")
                if not equals or not key.strip():
                    problems.append(Problem(f"{stream.origin} tags", f"{pair!r} is not key=value"))
                else:
                    attributes[key.strip()] = value.strip()
    values: dict[str, Any] = {"attributes": attributes}
    values["parse"], problem = _format(stream.options)
    if stream.where != STDOUT:
        values["files"] = [stream.where]
    if problem:
        problems.append(Problem(f"{stream.origin} format", problem))
    try:
        return Wishes([Claim(rank, stream.origin, settings(**values))], problems)
    except BadSettings as error:
        wrong = (Problem(stream.origin, text) for _, text in error.complaints)
        return Wishes(problems=[*problems, *wrong])


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
