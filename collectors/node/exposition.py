"""Prometheus text, without reading what nobody wants.

A kubelet's /metrics is 250 KB in 2,500 lines, of which some 150 matter here. So the bytes are cut
at `# TYPE`, families that are not wanted are never looked into, and only the lines that are left go
through prometheus_client's parser, which knows about escapes and odd numbers.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from pipeline.base.lean import enter

BEYOND = float(1 << 63)  # no kubelet counts so far, and sums of such numbers stay finite
_TYPE = b"# TYPE "
_BOUND = re.compile(rb'[{,]le="([^"]+)"')


class Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float


def families(body: bytes, wanted: Collection[bytes]) -> dict[bytes, list[bytes]]:
    """Family name -> its lines, for the wanted ones that are there."""
    found: dict[bytes, list[bytes]] = {}
    for block in body.split(_TYPE):
        name = block[: block.find(b" ")]
        if name in wanted:
            found[name] = [line for line in block.split(b"\n")[1:] if line and line[:1] != b"#"]
    return found


def bucket(lines: Iterable[bytes], least: float) -> list[bytes]:
    """Of a histogram's lines: sums, counts, and the buckets of the smallest bound that is at
    least `least`, so that `count - bucket` is how many took longer. Buckets differ between
    versions, so the bound is looked for."""
    lines = list(lines)
    bounds = {found[1] for line in lines if (found := _BOUND.search(line))}
    finite = [(value, text) for text in bounds if least <= (value := float(text)) < math.inf]
    end = b'le="' + min(finite)[1] + b'"}' if finite else None
    return [line for line in lines if b"_bucket{" not in line or (end is not None and end in line)]


def parse(lines: Iterable[bytes]) -> Iterator[Sample]:
    """What the lines say; values that are no number, or larger than any count, are left out.
    Raises ValueError."""
    text = b"\n".join(lines).decode("utf-8", "replace") + "\n"
    for family in _parser().text_string_to_metric_families(text):
        for sample in family.samples:
            if abs(sample.value) < BEYOND:  # NaN is not
                yield Sample(sample.name, sample.labels, sample.value)


def _parser() -> Any:
    enter("prometheus_client")  # its __init__ would load servers, registries and 5 MiB
    from prometheus_client import parser

    return parser
