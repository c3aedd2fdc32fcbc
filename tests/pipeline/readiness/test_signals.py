"""The catalogue of signals refuses what is wrong with it; the finder is bounded and repeatable."""

from pathlib import Path

import pytest

from pipeline.base.errors import UsageError
from pipeline.contract.record import Source
from pipeline.contract.state import decode_state, encode_state
from pipeline.readiness.finder import LINE_CHARS, VALUE_CHARS, SignalFinder
from pipeline.readiness.signals import load_signals

KERNEL = Source("node-a", "", "", "", "kernel", 0, "/var/log/kern")
GOOD = """
programs: {kernel: {host: [kernel]}}
signals:
  - {id: kernel.x, says: x, programs: [kernel], hints: [something], entity: node, source: y}
"""


def find(bodies: list[bytes], *, source: Source = KERNEL, step_ns: int = 0, file_id: int = 1):
    ts = [5 * 10**9 + i * step_ns for i in range(len(bodies))]
    offsets = [i * 100 for i in range(len(bodies))]
    finder = SignalFinder(load_signals())
    return finder.find(source, file_id, bodies=bodies, offsets=offsets, ts=ts)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("hints: [something]", "hints: ['a \"quote\"']", "quotes"),
        ("hints: [something]", "hints: [abc]", "at least 5"),
        ("hints: [something]", "hints: []", "hints"),
        ("programs: [kernel]", "programs: [kernal]", "did you mean `kernel`"),
        ("entity: node", "entity: nodes", "entity"),
        ("source: y", "source: y, regex: '(?=x)'", "regex: '(?=x)' is not RE2"),
        ("source: y", "source: y, where: {err: '(a'}", "where.err: '(a' is not RE2"),
        ("source: y", "source: y, colour: red", "colour"),
        ("id: kernel.x", "id: Kernel", "id"),
        ("kernel: {host: [kernel]}", "kernel: {}", "names no log"),
        ("signals:", "signals: {}\nother:", "signals"),
        ("programs: {", "programs: [", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = tmp_path / "signals.yaml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load_signals(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_two_of_one_name(tmp_path: Path) -> None:
    file = tmp_path / "signals.yaml"
    file.write_text(GOOD + GOOD.splitlines()[-1])
    with pytest.raises(UsageError, match=r"signal 2 \(kernel.x\): there is another"):
        load_signals(file)


def test_only_logs_of_programs_are_looked_at() -> None:
    finder = SignalFinder(load_signals())
    assert finder.wants(KERNEL)
    assert not finder.wants(Source("n", "shop", "web", "u", "main", 0, "/x"))
    assert not finder.wants(Source("n", "shop", "web", "u", "kernel", 0, "/x"))
    assert finder.wants(Source("n", "shop", "web", "u", "istio-proxy", 0, "/x"))
    assert finder.wants(Source("n", "kube-system", "csi", "u", "csi-plugin", 0, "/x"))


def test_a_storm_is_one_signal_a_window() -> None:
    storm = [b"Buffer I/O error on dev vdb1, logical block %d" % i for i in range(1000)]
    one, two = find(storm, step_ns=2_000_000)  # two seconds
    assert one.body["fields"]["repeated"] == two.body["fields"]["repeated"] == "500"
    assert (one.body["off"], two.body["off"]) == (0, 50_000)
    other = [b"Buffer I/O error on dev vdc1, logical block 0"]
    assert len(find(storm[:10] + other)) == 2, "another device is another signal"


def test_ids_do_not_depend_on_how_lines_are_batched() -> None:
    storm = [b"EXT4-fs error (device vd%c1): x" % (97 + i % 3) for i in range(300)]
    whole = find(storm, step_ns=10_000_000)
    parts = [
        event
        for cut in range(0, 300, 7)
        for event in SignalFinder(load_signals()).find(
            KERNEL, 1, bodies=storm[cut : cut + 7], offsets=list(range(cut, cut + 7)),
            ts=[5 * 10**9 + i * 10_000_000 for i in range(cut, min(cut + 7, 300))],
        )
    ]  # fmt: skip
    assert {event.id for event in whole} == {event.id for event in parts}
    assert len(whole) == len({event.id for event in whole}) == 9
    assert {e.id for e in find(storm, file_id=2)}.isdisjoint(e.id for e in whole)


def test_values_are_bounded() -> None:
    (event,) = find([b"BUG: unable to handle kernel paging request " + b"x" * 100_000])
    assert len(event.body["line"]) == LINE_CHARS
    source = Source("n", "", "", "", "kubelet", 0, "/x")
    line = b'E1123 05:40:12.798316   16481 generic.go:254] "PLEG: Write status" err="%s" pod="a/b"'
    (event,) = find([line % (b"DeadlineExceeded \\u00e9\xff" * 500)], source=source)
    assert len(event.body["fields"]["err"]) == VALUE_CHARS
    assert decode_state(encode_state(event)[0]) == event


def test_a_row_of_several_lines_and_empty_rows() -> None:
    bodies = [b"", b"nothing\nEXT4-fs error (device vda1): x\nmore", b"", b"EXT4-fs error"]
    one, two = find(bodies, step_ns=10**9)
    assert (one.body["off"], two.body["off"]) == (100, 300)
    assert find([]) == []
