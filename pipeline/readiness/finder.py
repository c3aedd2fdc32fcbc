"""Log lines -> signals: the events of kind `signal` on kubeledger.state.

Made for a hot path. A log whose name belongs to no program of the catalogue costs one look-up;
of the others all bodies of a batch are joined and searched for the hints of their patterns (by
`find` where there are few, else by one RE2 automaton); only lines that hold a hint are tried.

Lines of one pattern, entity and window of line time are ONE signal, whose id is made of just
these: `FILE:PATTERN:WINDOW:HASH`. So a storm of lines costs a signal a second, and a batch that
is built again, or cut elsewhere, names the same signals. `fields.repeated` counts the lines of
the window within the batch that saw it first: at least so many there were.

State: which patterns a log can hold, kept per log name. Everything else is an argument.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from typing import Any

import re2

from pipeline.contract.record import Source
from pipeline.contract.state import SIGNAL, StateEvent
from pipeline.readiness.signals import Compiled, Pattern, SignalCatalogue
from pipeline.stages.logline import LogLine, read_line

_FEW = 8  # `find` takes 0.1 ms per MB and hint, the automaton 1.2 ms per MB for all
LINE_CHARS = 500
VALUE_CHARS = 300
MAX_FIELDS = 20
_NOISE = frozenset({"time", "ts", "level", "caller", "v", "logger", "file", "func"})
_NS_PER_S, _NS_PER_MS = 1_000_000_000, 1_000_000


@dataclass(frozen=True, slots=True)
class _Hit:
    """A line that matches a pattern."""

    pattern: Pattern
    program: str
    body: bytes
    fields: dict[str, str]


class _Log:
    """What a log of this name can hold."""

    __slots__ = ("any_word", "mixed", "patterns", "words")

    def __init__(self, patterns: list[Compiled], *, mixed: bool) -> None:
        self.patterns = patterns
        self.mixed = mixed
        hints = {hint for compiled in patterns for hint in compiled.hints}
        self.words = sorted(h for h in hints if not any(o in h for o in hints - {h}))
        self.any_word = re2.compile(b"|".join(map(re2.escape, self.words)))

    def candidates(self, bodies: Sequence[bytes]) -> Iterable[int]:
        """Which lines hold a hint, in order."""
        joined = b"\n".join(bodies)
        places = self._few(joined) if len(self.words) <= _FEW else self._many(joined)
        ends: list[int] = []
        beyond = 0
        for place in places:
            if not ends:  # most batches hold no hint
                ends = list(accumulate(len(body) + 1 for body in bodies))
            if place >= beyond:
                i = bisect_right(ends, place)
                beyond = ends[i]
                yield i

    def _few(self, joined: bytes) -> Iterable[int]:
        found: list[int] = []
        for word in self.words:
            place = joined.find(word)
            while place >= 0:
                found.append(place)
                place = joined.find(word, place + 1)
        return sorted(found)

    def _many(self, joined: bytes) -> Iterable[int]:
        return (match.start() for match in self.any_word.finditer(joined))


class SignalFinder:
    """`by` is who says it, in the events."""

    def __init__(self, catalogue: SignalCatalogue, *, by: str = "process-logs") -> None:
        self._by = by
        self.catalogue = catalogue
        self._log = lru_cache(maxsize=4096)(self._look_up)
        self._of_tag = lru_cache(maxsize=256)(catalogue.of_tag)

    def _look_up(self, container: str, in_pod: bool) -> _Log:
        source = Source("", "", "", "pod" if in_pod else "", container, 0, "")
        mixed = self.catalogue.is_mixed(source)
        return _Log(self.catalogue.of_log(source), mixed=mixed)

    def wants(self, source: Source) -> bool:
        """Can a line of this log be a signal?"""
        return bool(self._log(source.container, bool(source.uid)).words)

    def find(
        self,
        source: Source,
        file_id: int,
        *,
        bodies: Sequence[bytes],
        offsets: Sequence[int],
        ts: Sequence[int],
    ) -> list[StateEvent]:
        """Signals of these lines of one file. `ts` in Unix ns, `offsets` in the file."""
        log = self._log(source.container, bool(source.uid))
        if not log.words:
            return []
        found: dict[str, StateEvent] = {}
        for i in log.candidates(bodies):
            for hit in self._hits(log, source, bodies[i]):
                event = self._event(hit, source, file_id, off=offsets[i], ns=ts[i])
                first = found.setdefault(event.id, event)
                if first is not event:
                    told = first.body["fields"]
                    told["repeated"] = str(int(told.get("repeated", "1")) + 1)
        return list(found.values())

    def _hits(self, log: _Log, source: Source, body: bytes) -> Iterable[_Hit]:
        line = read_line(body, host=not source.uid)
        program = line.program or source.container
        for compiled in self._of_tag(line.program) if log.mixed else log.patterns:
            if any(hint in body for hint in compiled.hints):
                fields = captures(compiled, line)
                if fields is not None:
                    yield _Hit(compiled.pattern, program, body, fields)

    def _event(self, hit: _Hit, source: Source, file_id: int, *, off: int, ns: int) -> StateEvent:
        pattern, fields = hit.pattern, hit.fields
        namespace, pod, uid, container = _who(pattern, fields, source)
        window = ns // (pattern.window_s * _NS_PER_S)
        key = "\0".join([namespace, pod, uid, *(fields.get(name, "") for name in pattern.per)])
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        body = {
            "pattern": pattern.id,
            "node": source.node,
            "program": hit.program,
            "namespace": namespace,
            "pod": pod,
            "uid": uid,
            "container": container,
            "fields": _bounded(fields),
            "line": hit.body[: 4 * LINE_CHARS].decode("utf-8", "replace")[:LINE_CHARS],
            "file": f"{file_id:016x}",
            "off": off,
        }
        name = f"{file_id:016x}:{pattern.id}:{window}:{digest}"
        return StateEvent(SIGNAL, ns // _NS_PER_MS, self._by, name, body)


def captures(compiled: Compiled, line: LogLine) -> dict[str, str] | None:
    """Named groups, then the line's own fields; None if it does not match."""
    fields = {key: value for key, value in line.fields.items() if key not in _NOISE}
    taken: dict[str, str] = {}

    def found(regex: Any, text: str) -> bool:
        match = regex.search(text)
        if match is not None:
            for name, value in match.groupdict().items():
                if value:
                    taken[name.removesuffix("_2")] = value
        return match is not None

    def value(name: str) -> str:
        return taken.get(name) or line.fields.get(name, "")

    if compiled.regex is not None and not found(compiled.regex, line.message):
        return None
    if compiled.text is not None and not found(compiled.text, line.text()):
        return None
    if not all(found(regex, value(name)) for name, regex in compiled.where.items()):
        return None
    if any(regex.search(value(name)) for name, regex in compiled.unless.items()):
        return None
    return taken | {key: fields[key] for key in fields if key not in taken}


def _who(pattern: Pattern, fields: Mapping[str, str], source: Source) -> tuple[str, str, str, str]:
    """(namespace, pod, uid, container) that the line is about: the pod that it names, or the
    one that wrote it."""
    namespace, name = fields.get("pod_namespace", ""), fields.get("pod_name", "")
    uid = fields.get("podUID", "") or fields.get("pod_uid", "").replace("_", "-")
    pod = fields.get("pod", "")
    if pod.count("/") == 1:
        namespace, name = pod.split("/")
    elif full := fields.get("podfull", ""):
        name, _, rest = full.partition("_")
        namespace, _, rest = rest.partition("(")
        uid = rest.removesuffix(")") or uid
    if pattern.entity == "logger" or not (name or uid):
        return source.namespace, source.pod, source.uid, source.container
    return namespace, name, uid, fields.get("containerName", "")


def _bounded(fields: Mapping[str, str]) -> dict[str, str]:
    return {key: value[:VALUE_CHARS] for key, value in list(fields.items())[:MAX_FIELDS]}
