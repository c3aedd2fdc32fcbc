"""What the sampler makes of real outages: suspicions, their times, and what still answered."""

from collections import Counter

import pytest

from collectors.node.ports import CRI
from pipeline.contract import state
from tests.collectors.node.drive import Drive
from tests.collectors.node.recorded import RECORDINGS, replay

HANGS = {
    "kubelet-stopped", "pleg-hang-cri-pods", "pleg-hang-one-container", "pleg-hang-runtime",
    "runc-hang",
}  # fmt: skip


def outcomes(drive: Drive, part: str) -> Counter[str]:
    return Counter(event.body["outcome"] for event in drive.samples(part))


def first(drive: Drive, reason: str) -> float:
    return next(at for at, reasons in drive.reasons if reason in reasons)


def test_nothing_but_a_hang_is_suspicious() -> None:
    quiet = sorted(path.name for path in RECORDINGS.iterdir() if path.name not in HANGS)
    assert len(quiet) == 15
    for name in quiet:
        drive = replay(name)
        assert drive.reasons == [], name
        assert drive.asked(CRI) == []


def test_a_hung_runtime() -> None:
    """containerd stopped at +30: logs silent, /metrics and /stats time out, /healthz is ok."""
    drive = replay("pleg-hang-runtime")
    assert first(drive, "logs-silent") == pytest.approx(40, abs=0.1)
    assert first(drive, "metrics-timeout") == pytest.approx(44, abs=0.1)
    assert drive.asked(CRI) == [first(drive, "metrics-timeout")]  # 114 s before NotReady (+158)
    silent = [e for e in drive.samples(state.GROWTH) if "silent" in e.body["values"]]
    assert silent[0].body["values"]["silent"]["since_ms"] / 1000 - drive.start == pytest.approx(
        30.3, abs=0.1
    )
    (resumed,) = [e for e in drive.samples(state.GROWTH) if "resumed" in e.body["values"]]
    assert resumed.body["values"]["resumed"]["at_ms"] / 1000 - drive.start == pytest.approx(
        360.8, abs=0.1
    )
    assert outcomes(drive, state.HEALTHZ).keys() == {state.OK}
    assert outcomes(drive, state.METRICS)[state.TIMEOUT] > 70
    late = [e for e in drive.samples(state.METRICS) if e.body.get("patient")]
    assert late[-1].body["values"]["pleg_age"] > 180  # the relist hangs
    assert drive.sampler.reasons == ()


def test_one_hung_container() -> None:
    """A shim stopped: the same time-outs, but the late answer has a fresh PLEG."""
    drive = replay("pleg-hang-one-container")
    assert {reason for _, reasons in drive.reasons for reason in reasons} == {"metrics-timeout"}
    late = [e for e in drive.samples(state.METRICS) if e.body.get("patient")]
    answered = [e.body["values"]["pleg_age"] for e in late if e.body["outcome"] == state.OK]
    assert answered
    assert max(answered) < 2
    assert outcomes(drive, state.HEALTHZ).keys() == outcomes(drive, state.PROBES).keys() == {"ok"}
    assert outcomes(drive, state.RESOURCE)[state.TIMEOUT] == 13
    assert not [e for e in drive.samples(state.GROWTH) if "silent" in e.body["values"]]


def test_a_frozen_kubelet() -> None:
    """Everything falls silent, /healthz too; containers go on writing."""
    drive = replay("kubelet-stopped")
    assert first(drive, "healthz") == pytest.approx(24, abs=0.1)
    assert drive.asked(CRI) == [pytest.approx(28, abs=0.1)]  # 31 s before Ready=Unknown
    for part in (state.METRICS, state.HEALTHZ, state.PROBES, state.RESOURCE):
        assert outcomes(drive, part)[state.TIMEOUT] >= 6, part
    assert not [e for e in drive.samples(state.GROWTH) if "silent" in e.body["values"]]
    assert drive.sampler.reasons == ()


def test_pods_whose_status_hangs() -> None:
    """/metrics answers all the time: PLEG's age shows, relists stand still."""
    drive = replay("pleg-hang-cri-pods")
    assert first(drive, "relist-stopped") < 36.5
    assert first(drive, "pleg-age") == pytest.approx(36, abs=0.1)
    assert outcomes(drive, state.METRICS).keys() == {state.OK}
    ages = [e.body["values"]["pleg_age"] for e in drive.samples(state.METRICS)]
    assert 230 < max(ages) < 245
    assert drive.asked(state.METRICS, patient=True) == []


def test_a_replay_is_the_same_twice() -> None:
    one, other = (
        [state.encode_state(e) for e in replay("pleg-hang-runtime").events] for _ in range(2)
    )
    assert one == other
