"""What is done with a pod's logs, and by whose wish: a section of `kubeledger explain pod`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.console.output import harmless
from pipeline.contract.record import PLAIN, Chunk, PodVersion, Source
from pipeline.logconfig.claims import Problem, Wishes
from pipeline.logconfig.objects import ConfigObject
from pipeline.logconfig.paths import places_of
from pipeline.logconfig.precedence import Conflict, Effective, resolve
from pipeline.logconfig.spec import Limit, Multiline, Parse, Quota, Redact, Sample
from pipeline.logconfig.wishes import object_wishes, pod_wishes, wished_files
from pipeline.stages.multiline import OFF
from pipeline.stages.refine import Bounds, Refinery
from pipeline.stages.rows import PodView
from pipeline.stages.shed import Limiter
from pipeline.stages.treat import Treated, treat
from pipeline.stages.treatment import Treatment, multiline_of, treatment

_SAMPLE_LINES = 1000
_SHOWN_LINES = 8


@dataclass(frozen=True, slots=True)
class Explained:
    """One container: what counts, what cannot be followed, and how lines of it come out."""

    container: str
    file: str  # "": what it prints; else a path or pattern of files in its volumes
    effective: Effective
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    wish: Treatment | None

    def document(self) -> dict[str, Any]:
        """For programs."""
        decisions = self.effective.decisions.values()
        return {
            "container": self.container,
            **({"file": self.file} if self.file else {}),
            "settings": {
                one.setting: {
                    "value": said(one.value),
                    "by": list(one.origins),
                    "beaten": list(one.beaten),
                }
                for one in decisions
            },
            "conflicts": [_conflict(one) for one in self.effective.conflicts],
            "problems": [str(problem) for problem in self.problems],
            "notes": [str(note) for note in self.notes],
        }


def explained(pod: PodVersion, objects: Sequence[ConfigObject]) -> list[Explained]:
    """Each container of the pod, in order; behind it the files that are wished of it."""
    found = []
    for container in pod.images:
        found.append(_explained(pod, objects, container, ""))
        for file, by in wished_files(objects, pod, container).items():
            found.append(_explained(pod, objects, container, file, by))
    return found


def _explained(
    pod: PodVersion, objects: Sequence[ConfigObject], container: str, file: str, by: str = ""
) -> Explained:
    wishes = pod_wishes(pod, container, file)
    wishes += object_wishes(objects, pod, container, file)
    if file and not places_of(file, pod.mounts.get(container, {})):
        text = f"{file} is in no emptyDir or hostPath of container {container}: not read"
        wishes += Wishes(notes=[Problem(by, text)])
    made = treatment(wishes.claims, wishes.problems, file=file)
    from_all = made.effective if made is not None else resolve(wishes.claims)
    problems, notes = tuple(wishes.problems), tuple(dict.fromkeys(wishes.notes))
    return Explained(container, file, from_all, problems, notes, made)


def lines(pod: PodVersion, found: Sequence[Explained]) -> Iterator[str]:
    """For people."""
    yield f"logs of {pod.namespace}/{pod.name}"
    for one in found:
        yield f"  container {one.container}" + (f", files {one.file}" if one.file else "")
        if not one.effective.decisions:
            yield "    every line is stored as it is; JSON and logfmt fields become columns"
        for decision in one.effective.decisions.values():
            yield f"    {decision.setting.replace('_', ' ')}: {said(decision.value)}"
            yield f"      by {', '.join(decision.origins)}"
            if decision.beaten:
                yield f"      not by {', '.join(decision.beaten)}"
        for conflict in one.effective.conflicts:
            yield f"    conflict: {_conflict(conflict)}"
        for problem in one.problems:
            yield f"    not followed: {problem}"
        for note in one.notes:
            yield f"    note: {note}"


def _conflict(one: Conflict) -> str:
    return f"{one.setting}: {one.winner} counts, {one.loser} says otherwise"


def said(value: Any) -> str:
    """A setting's value in words."""
    match value:
        case Multiline(start=str(start)):
            return f"a record begins at {start}"
        case Multiline(trace=trace):
            return "off" if trace == "off" else f"stack traces of {trace}"
        case Parse(pattern=str(pattern)):
            return f"regex {pattern}"
        case Parse(format=name):
            return name
        case Redact(presets=presets, patterns=secrets):
            return ", ".join([*presets, *(secret.name for secret in secrets)])
        case Sample(rate=rate, keep_errors=errors, keep=keep):
            spared = "errors and worse are all stored" if errors else "errors as well"
            more = f"; also {', '.join(keep)}" if keep else ""
            return f"{rate:.4%}".rstrip("0%").rstrip(".") + f" % of lines, {spared}{more}"
        case Limit(bytes_per_second=rate, burst_bytes=burst):
            return f"{rate:,} bytes a second" + (f", {burst:,} at once" if burst else "")
        case Quota(bytes_per_second=rate, borrow=borrow):
            more = ", and what others leave" if borrow else ""
            return f"{rate:,} bytes a second for the whole namespace{more}"
        case dict():
            return ", ".join(f"{name}={text}" for name, text in value.items())
        case tuple():
            return ", ".join(map(str, value))
    return str(value)


def sampled(one: Explained, pod: PodVersion, text: bytes) -> Treated:
    """Whole lines of a file, read and treated as the processor would; at the times they say."""
    source = Source("", pod.namespace, pod.name, pod.uid, one.container, 0, "sample")
    count, size = text.count(b"\n"), len(text)
    chunk = Chunk(source, 1, "chunk", 0, size, count, PLAIN, "none", 0, 0, 0, "", "", 0)
    wished = multiline_of(one.effective) or OFF
    view = PodView(pattern="" if wished == OFF else wished, treatment=one.wish)
    refinery = Refinery(Bounds())
    refinery.begin(0)
    refinery.chunk(0, chunk, text, view)
    refinery.end(1, chunk)
    return treat(refinery.finish(0, 0, 1), refinery.origins, Limiter())


def sample_lines(one: Explained, pod: PodVersion, text: bytes) -> Iterator[str]:
    """What becomes of a sample, in words, and its first lines as they would be stored."""
    found = text.removesuffix(b"\n").split(b"\n")[:_SAMPLE_LINES] if text else []
    done = sampled(one, pod, b"".join(line + b"\n" for line in found))
    shed: Counter[str] = Counter()
    for gone in done.shed:
        shed[gone.reason] += gone.rows
    told = [f"{count} {reason}" for reason, count in shed.items()]
    told += [f"{count} {name} redacted" for name, count in done.redacted.items()]
    told += [f"{count} not {name}" for name, count in done.unparsed.items()]
    records = len(done.rows) + shed.total()
    of = f"{len(found)} lines" + (f" in {records} records" if records != len(found) else "")
    yield f"  sample as container {one.container}: {of}, {len(done.rows)} stored" + (
        f" ({', '.join(told)})" if told else ""
    )
    rows = done.rows
    for i in range(min(len(rows), _SHOWN_LINES)):
        yield f"    {harmless(rows.bodies[i].decode('utf-8', 'backslashreplace'))}"
        if rows.fields is not None and rows.fields[i]:
            yield f"      {harmless(rows.fields[i].decode())}"
