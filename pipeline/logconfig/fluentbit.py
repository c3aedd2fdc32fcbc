"""`fluentbit.io/parser[_stdout|_stderr][-CONTAINER]` and `fluentbit.io/exclude[…]`.

Fluent Bit looks a parser up by name in the operator's own file; the names of its shipped
parsers.conf that mean one of our formats are understood, others are reported.
Source: fluent-bit docs, Kubernetes filter, "Kubernetes Annotations"; conf/parsers.conf.
"""

import re
from collections.abc import Mapping

from pipeline.contract.wishes import FLUENT_BIT
from pipeline.logconfig.claims import Claim, Problem, Rank, Wishes
from pipeline.logconfig.reading import settings
from pipeline.logconfig.spec import LogConfigSpec

_NAME = re.compile(r"(parser|exclude)(?:_(stdout|stderr))?(?:-(.+))?")
_PARSERS = {
    "json": "json", "docker": "json", "docker-daemon": "json", "json-test": "json",
    "logfmt": "logfmt", "nginx": "nginx", "klog": "klog", "apache2": "nginx",
}  # fmt: skip
_TRUE, _FALSE = ("true", "on", "yes"), ("false", "off", "no")


def fluent_bit(annotations: Mapping[str, str], container: str) -> Wishes:
    """Those for the container come before those for the pod, as in Fluent Bit."""
    found = Wishes()
    excluded: dict[str, bool] = {}  # of a stream: the first word counts, be it yes or no
    for name in sorted(annotations, key=lambda name: ("-" not in name, name)):
        if not name.startswith(FLUENT_BIT):
            continue
        origin, text = f"annotation {name}", annotations[name].strip()
        parts = _NAME.fullmatch(name.removeprefix(FLUENT_BIT))
        if parts is None:
            found += Wishes(problems=[Problem(origin, "not parser or exclude")])
            continue
        what, stream, whose = parts.groups()
        if whose and whose != container:
            continue
        if what == "parser":
            if not any(claim.settings.parse for claim in found.claims):
                found += _parser(origin, text, stream)
        elif text.lower() not in (*_TRUE, *_FALSE):
            found += Wishes(problems=[Problem(origin, f"{text!r} is neither true nor false")])
        else:
            found = _exclude(found, origin, stream, excluded, wish=text.lower() in _TRUE)
    return found


def _exclude(
    found: Wishes, origin: str, stream: str | None, excluded: dict[str, bool], *, wish: bool
) -> Wishes:
    before = {name for name, gone in excluded.items() if gone}
    for name in (stream,) if stream else ("stdout", "stderr"):
        excluded.setdefault(name, wish)
    gone = {name for name, gone in excluded.items() if gone}
    if gone == before:
        return found
    streams = "all" if len(gone) == 2 else next(iter(gone))
    claim = Claim(Rank.FLUENT_BIT, origin, settings(exclude=streams))
    return _without_exclude(found) + Wishes([claim])


def _parser(origin: str, text: str, stream: str | None) -> Wishes:
    known = _PARSERS.get(text)
    if known is None:
        problem = f"parser {text!r} is defined in a Fluent Bit configuration that is not known here"
        return Wishes(problems=[Problem(origin, f"{problem}; use kubeledger.io/parser")])
    if stream:
        note = Problem(origin, "both streams are parsed alike: it counts for both")
        return Wishes([Claim(Rank.FLUENT_BIT, origin, _parse(known))], notes=[note])
    return Wishes([Claim(Rank.FLUENT_BIT, origin, _parse(known))])


def _parse(name: str) -> LogConfigSpec:
    return settings(parse={"format": name})


def _without_exclude(wishes: Wishes) -> Wishes:
    kept = [claim for claim in wishes.claims if claim.settings.exclude is None]
    return Wishes(kept, wishes.problems, wishes.notes)
