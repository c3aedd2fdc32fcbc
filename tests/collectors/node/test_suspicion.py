"""What makes a node suspicious, and what does not, in virtual time."""

import pytest

from collectors.node.config import NodeConfig
from collectors.node.ports import CRI, Answer, Request
from pipeline.contract import state
from tests.collectors.node.drive import T0, Answers, Drive, failing, fine, metrics_text


def gauges(
    seen_until: float, relists_until: float, *, restart: float = float("inf"), gates: bytes = b""
) -> Answers:
    """/metrics answers; last_seen and relists move until then, and after a restart again."""

    def answers(request: Request, now: float) -> tuple[float, Answer] | None:
        if request.part == state.CONFIGZ:
            text = b'{"kubeletconfig": {"featureGates": {%s}}}' % gates
            return now + 0.02, Answer(request, state.OK, 20, 200, text)
        if request.part != state.METRICS:
            return fine(request, now)
        again = now >= T0 + restart
        text = metrics_text(
            last_seen=now if again else min(now, T0 + seen_until),
            relists=int(now - T0 - restart if again else min(now - T0, relists_until)),
            start=T0 + restart if again else T0 - 1000,
        )
        return now + 0.02, Answer(request, state.OK, 20, 200, text)

    return answers


def test_pleg_that_ages_past_20_s() -> None:
    drive = Drive(gauges(30, 1000)).run(100)
    (at, reasons) = drive.reasons[0]
    assert reasons == ("pleg-age",)
    assert 50 < at <= 55.1
    assert drive.asked(CRI) == [at]
    ages = [e.body["values"]["pleg_age"] for e in drive.samples(state.METRICS)]
    assert ages[0] == 0
    assert max(ages) >= 69


def test_relists_that_are_not_finished_any_more() -> None:
    drive = Drive(gauges(1000, 30)).run(70)
    assert drive.reasons == [(pytest.approx(50.02, abs=0.05), ("relist-stopped",))]


def test_a_restarted_kubelet_counts_anew_and_is_not_suspected_for_it() -> None:
    drive = Drive(gauges(20, 20, restart=25)).run(60)
    assert drive.reasons == []


def test_with_evented_pleg_a_relist_is_rare() -> None:
    evented = gauges(1000, 30, gates=b'"EventedPLEG": true')
    drive = Drive(evented).run(330)
    assert drive.reasons == []
    drive.run(30)
    assert drive.sampler.reasons == ("relist-stopped",)


def test_a_kubelet_without_pleg_metrics_is_not_suspected_of_anything() -> None:
    text = b"# TYPE kubelet_running_pods gauge\nkubelet_running_pods 3\n"
    drive = Drive(
        lambda r, now: (
            (now + 0.02, Answer(r, state.OK, 20, 200, text))
            if r.part == state.METRICS
            else fine(r, now)
        )
    ).run(100)
    assert drive.reasons == []


def test_one_timeout_is_none_and_a_refusal_in_between_starts_the_count_anew() -> None:
    turn = iter([state.TIMEOUT, state.REFUSED, state.TIMEOUT, state.OK] * 20)

    def answers(request: Request, now: float) -> tuple[float, Answer] | None:
        if request.part == state.METRICS and (outcome := next(turn)) != state.OK:
            return now + 0.5, Answer(request, outcome, 500)
        return fine(request, now)

    drive = Drive(answers).run(100)
    assert "metrics-timeout" not in {r for _, reasons in drive.reasons for r in reasons}
    assert drive.asked(state.METRICS, patient=True) == []


def test_a_health_port_that_was_never_open_is_a_setting() -> None:
    drive = Drive(failing((state.HEALTHZ,), state.REFUSED)).run(60)
    assert drive.reasons == []
    worked = Drive(failing((state.HEALTHZ,), state.REFUSED, since=T0 + 20)).run(60)
    assert worked.reasons[0] == (20.001, ("healthz",))
    assert worked.asked(CRI) == [21.001]  # not for a kubelet that is just restarting
    down = Drive(failing((state.HEALTHZ, state.METRICS), state.REFUSED)).run(60)
    assert down.sampler.reasons == ("healthz",)


def test_healthz_that_is_forbidden_is_a_setting() -> None:
    text = b"Forbidden (user=u, verb=get, resource=nodes, subresource(s)=[healthz proxy])"
    drive = Drive(
        lambda r, now: (
            (now + 0.02, Answer(r, state.OK, 20, 403, text))
            if r.part == state.HEALTHZ
            else fine(r, now)
        )
    ).run(60)
    assert drive.reasons == []


def test_logs_that_fell_silent_hasten_the_samples_but_do_not_start_the_black_box() -> None:
    silent = {"active": 3, "silent": {"since_ms": 1, "containers": 3}}
    drive = Drive(
        lambda r, now: (
            (now + 0.001, Answer(r, state.OK, 1, values=silent))
            if r.part == state.GROWTH
            else fine(r, now)
        ),
        NodeConfig(),
    ).run(20)
    assert drive.sampler.reasons == ("logs-silent",)
    assert len(drive.asked(state.METRICS)) == 21
    assert drive.asked(CRI) == []
