"""How often the verdict is right: a confusion matrix over all recordings, synthetic and real.

One JSON line per cause that is expected or given anywhere, then the totals. An incident counts as
right when its entity has the expected verdict; `unknown` counts verdicts that say so."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.report import emit
from tests.cases.all import CASES
from tests.cases.case import told
from tests.journeys.recordings import recorded_verdicts

UNKNOWN = ("pleg.umbrella", "node.not-ready", "pod.image-unknown", "pod.unready",
           "ns.terminating.unknown")  # fmt: skip

Verdicts = Mapping[str, str]  # entity -> cause


def run(work: Path) -> None:
    right: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    given_instead: dict[str, Counter[str]] = {}
    recordings = real = 0
    for expected, given, recorded in _all():
        recordings += 1
        real += len(expected) if recorded else 0
        for entity in {*expected, *given}:
            want, got = expected.get(entity, ""), given.get(entity, "")
            if want == got:
                right[want] += 1
                continue
            if want:
                missed[want] += 1
                given_instead.setdefault(want, Counter())[got or "nothing"] += 1
            if got:
                wrong[got] += 1
    for cause in sorted({*right, *missed, *wrong}):
        emit(
            f"diagnosis.{cause}",
            [_share(right[cause], right[cause] + missed[cause])],
            "recall",
            right=right[cause],
            wrong=wrong[cause],
            instead=dict(given_instead.get(cause, {})),
        )
    total, all_wrong, all_missed = sum(right.values()), sum(wrong.values()), sum(missed.values())
    sizes = {"recordings": recordings, "incidents": total + all_missed, "of_real_recordings": real}
    unknown = sum(right[cause] for cause in UNKNOWN)
    emit(
        "diagnosis.precision", [_share(total, total + all_wrong)], "share", unknown=unknown, **sizes
    )
    emit("diagnosis.recall", [_share(total, total + all_missed)], "share", **sizes)


def _all() -> Iterator[tuple[Verdicts, Verdicts, bool]]:
    """What is expected, what is given, and whether it is of a real recording."""
    for case in CASES:
        yield case.expected, told(case)[0], False
    for _, expected, given in recorded_verdicts():
        yield expected, given, True


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
