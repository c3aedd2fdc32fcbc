"""Answers of a kubelet: of whoever listens on its port, while the node is broken."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.node.answers import (
    Probes,
    configz_values,
    healthz_values,
    resource_values,
    stats_values,
)
from collectors.node.metrics_values import metrics_values
from collectors.pods.document import DocumentError, pod_versions, pods_in
from tests.collectors.node.bodies import HERE, body
from tests.fuzz.hostile import CLASSICS, bent, examples, mistyped, only, values, written

Read = Callable[[bytes], Any]


def taken(read: Read, text: bytes) -> None:
    """What is read must be fit for a record: no NaN, nothing endless."""
    found: list[Any] = []
    if only(ValueError, lambda: found.append(read(text))):
        json.dumps(found, allow_nan=False)


def probes(text: bytes) -> Any:
    """Twice: what failed since the last time is looked at only then."""
    read = Probes()
    read(text.replace(b"1", b"0"))
    return read(text)


def short(text: bytes) -> bytes:
    """The wanted families alone, a few lines of each: bent bytes then hit what is read."""
    blocks = [block for block in text.split(b"# HELP ") if b"kubelet_" in block[:12]]
    return b"".join(b"# HELP " + b"\n".join(block.split(b"\n")[:8]) + b"\n" for block in blocks)


def family(name: str, wanted: bytes) -> bytes:
    (found,) = (b for b in body(name).split(b"# TYPE ") if b.startswith(wanted + b" "))
    return b"# TYPE " + found[:2000].rpartition(b"\n")[0] + b"\n"


TEXTS: dict[str, tuple[Read, list[bytes]]] = {
    "metrics": (metrics_values, [short(body("metrics"))]),
    "probes": (probes, [family("metrics-probes-1", b"prober_probe_total")]),
    "resource": (resource_values, [family("metrics-resource", b"node_cpu_usage_seconds_total")]),
    "healthz": (healthz_values, [b"[+]ping ok\n[-]syncloop failed: reason withheld\n"]),
}
CONFIGZ, STATS = json.loads(body("configz")), json.loads(body("stats-summary"))
STATS = {"node": {**STATS["node"], "systemContainers": []}, "pods": STATS["pods"][:1]}
NUMBERS = ("NaN", "+Inf", "-Inf", "1e400", "1e308", "-1", "0x10", "1_000", "", "١", "1 2")


@pytest.mark.parametrize("part", TEXTS)
def test_samples_are_read(part: str) -> None:
    """Or what is bent of them would prove nothing."""
    read, samples = TEXTS[part]
    assert all(any(read(sample).values()) for sample in samples)


@pytest.mark.parametrize("part", TEXTS)
def test_text(part: str) -> None:
    read, samples = TEXTS[part]

    @examples(100)
    @given(bent(samples) | st.binary(max_size=200))
    def run(text: bytes) -> None:
        taken(read, text)

    run()


@pytest.mark.parametrize("part", ["metrics", "probes", "resource"])
@pytest.mark.parametrize("number", NUMBERS)
def test_every_value_is_an_odd_number(part: str, number: str) -> None:
    read, (sample,) = TEXTS[part]
    lines = [
        line if line.startswith(b"#") else line.rpartition(b" ")[0] + b" " + number.encode()
        for line in sample.split(b"\n")
    ]
    taken(read, b"\n".join(lines))


@pytest.mark.parametrize(
    ("read", "document"),
    [(configz_values, CONFIGZ), (stats_values, STATS)],
    ids=["configz", "stats"],
)
def test_json(read: Read, document: Any) -> None:
    @examples(100)
    @given(written(mistyped([document])) | bent([json.dumps(document).encode()]))
    def run(text: bytes) -> None:
        taken(read, text)

    run()


@pytest.mark.parametrize(
    "odd", ["9" * 400, "9" * 400 + "h", "-1Gi", "1e9", "NaN", -1, 1 << 80, [], {}]
)
def test_every_setting_is_odd(odd: Any) -> None:
    everywhere = {"kubeletconfig": dict.fromkeys(CONFIGZ["kubeletconfig"], odd)}
    taken(configz_values, json.dumps(everywhere).encode())


@pytest.mark.parametrize("text", CLASSICS, ids=lambda text: repr(text[:12]))
def test_classics(text: bytes) -> None:
    for read in (configz_values, stats_values, *(read for read, _ in TEXTS.values())):
        only(ValueError, lambda read=read: read(text))
        only(ValueError, lambda read=read: read(b'{"node":' + text + b"}"))


PODS = json.loads((HERE.parent / "healthy" / "pods.json").read_text())
POD = {**PODS["items"][0]}


@examples(100)
@given(written(mistyped([{"kind": "PodList", "items": [POD]}, POD])))
def test_pods(text: bytes) -> None:
    def read() -> None:
        for pod in pods_in(text.decode()):
            only(DocumentError, lambda pod=pod: pod_versions(pod, "node-a"))

    only(DocumentError, read)


@examples(80)
@given(values)
def test_what_is_no_pod(found: Any) -> None:
    only(DocumentError, lambda: pod_versions({"metadata": found, "spec": found}, "node-a"))


@pytest.mark.parametrize("text", CLASSICS, ids=lambda text: repr(text[:12]))
def test_classics_as_pods(text: bytes) -> None:
    shown = text.decode("utf-8", "replace")
    for whole in (shown, '{"items":' + shown + "}", '{"items":[' + shown + "]}"):
        only(DocumentError, lambda whole=whole: list(pods_in(whole)))
