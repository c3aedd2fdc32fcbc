"""The sampler's schedule and what answers become, in virtual time."""

from dataclasses import replace
from itertools import pairwise

import pytest

from collectors.node.config import BoxConfig, CanaryConfig, NodeConfig, SuspicionConfig
from collectors.node.ports import CRI, PATH, Answer, Instant, Request
from collectors.node.sampler import Sampler
from pipeline.contract import state
from tests.collectors.node.drive import T0, Drive, failing, fine, metrics_text

KUBELET = (state.METRICS, state.PROBES, state.RESOURCE, state.HEALTHZ, state.STATS, state.CONFIGZ)


def test_a_healthy_node_is_asked_at_the_pace_of_each_part() -> None:
    drive = Drive(fine).run(119.9)
    counts = {part: len(drive.asked(part)) for part in state.SAMPLE_PARTS}
    assert counts == {
        state.METRICS: 24, state.HEALTHZ: 24, state.HOST: 24, state.PROBES: 8,
        state.RESOURCE: 8, state.GROWTH: 8, state.STATS: 2, state.CONFIGZ: 1,
    }  # fmt: skip
    assert drive.asked(state.METRICS)[:3] == [0, 5, 10]
    assert len(drive.events) == len(drive.log)
    assert {e.body["outcome"] for e in drive.events} == {state.OK}
    assert drive.reasons == []
    assert drive.asked(CRI) == drive.asked(state.METRICS, patient=True) == []


def test_an_event_says_who_what_when_and_names_itself() -> None:
    drive = Drive(fine).run(1)
    (event,) = drive.samples(state.METRICS)
    ms = round(T0 * 1000)
    assert (event.kind, event.by, event.t) == (state.SAMPLE, "node-a", ms + 20)
    assert event.id == f"node-a:metrics:{ms}"
    assert event.body["values"].pop("pleg_age") == 0
    assert event.body == {
        "node": "node-a", "part": "metrics", "asked_ms": ms, "ms": 20, "outcome": "ok",
        "status": 200, "values": {"pleg_last_seen": T0, "relist_count": 0,
                                  "process_start": T0 - 1000},
    }  # fmt: skip


def test_a_pace_of_0_is_never_and_others_are_as_set() -> None:
    config = NodeConfig(metrics_s=2, configz_s=0, stats_s=0, probes_s=0)
    drive = Drive(fine, config).run(9.9)
    assert drive.asked(state.METRICS) == [0, 2, 4, 6, 8]
    assert not {state.CONFIGZ, state.STATS, state.PROBES} & {r.part for _, r in drive.log}


def test_no_part_is_asked_twice_at_a_time_and_a_hanging_one_delays_no_other() -> None:
    drive = Drive(failing((state.METRICS, state.STATS), state.TIMEOUT)).run(60)
    for part, deadline in ((state.METRICS, 4.0), (state.STATS, 10.0)):
        assert all(b - a >= deadline for a, b in pairwise(drive.asked(part)))
    healthz = drive.asked(state.HEALTHZ)
    assert max(b - a for a, b in pairwise(healthz)) == 5
    assert len(healthz) > 45  # every second once it is suspicious


def test_a_hung_metrics_gets_one_patient_request_beside_it() -> None:
    drive = Drive(failing((state.METRICS,), state.TIMEOUT)).run(400)
    patient = [(t, r) for t, r in drive.log if r.patient]
    assert [t for t, _ in patient] == [9, 179, 349]  # after two time-outs; then one at a time
    assert {r.deadline_s for _, r in patient} == {170}
    assert patient[0][1].id == f"node-a:metrics-patient:{round((T0 + 9) * 1000)}"
    late = [e for e in drive.samples(state.METRICS) if e.body.get("patient")]
    assert [e.body["outcome"] for e in late] == [state.TIMEOUT] * 2
    assert len({e.id for e in drive.events}) == len(drive.events)


def test_a_late_answer_tells_how_old_pleg_was_when_it_was_asked_for() -> None:
    """The kubelet reads its gauges at once and waits for the runtime then."""

    def answers(request: Request, now: float) -> tuple[float, Answer] | None:
        if request.patient:
            text = metrics_text(last_seen=now - 1.5, relists=int(now - T0))
            return now + 120, Answer(request, state.OK, 120_000, 200, text)
        return failing((state.METRICS,), state.TIMEOUT)(request, now)

    drive = Drive(answers).run(135)
    (late,) = [e for e in drive.samples(state.METRICS) if e.body.get("patient")]
    assert late.body["values"]["pleg_age"] == 1.5
    assert late.t - late.body["asked_ms"] == 120_000
    assert drive.sampler.reasons == ("metrics-timeout",)  # one container, not the relist


def test_patience_can_be_switched_off() -> None:
    config = NodeConfig(patient_deadline_s=0, blackbox=BoxConfig(enabled=False))
    drive = Drive(failing((state.METRICS,), state.TIMEOUT), config).run(60)
    assert drive.asked(state.METRICS, patient=True) == drive.asked(CRI) == []


def test_suspicion_asks_everything_at_once_and_the_black_box_once() -> None:
    since = T0 + 30
    drive = Drive(failing((state.METRICS,), state.TIMEOUT, since=since)).run(400)
    (begins, first), *_ = drive.reasons
    assert (begins, first) == (39, ("metrics-timeout",))
    for part in (state.PROBES, state.RESOURCE, state.STATS, state.HOST):
        assert 39 in drive.asked(part), part
    assert drive.asked(CRI) == [39]
    (request,) = [r for _, r in drive.log if r.part == CRI]
    assert request.why == "metrics-timeout"


def test_the_black_box_is_limited_in_rate_and_its_body_is_a_probe() -> None:
    def answers(request: Request, now: float) -> tuple[float, Answer] | None:
        if request.part == CRI:
            body = {"verdict": "runtime-wide", "calls": []}
            return now + 15, Answer(request, state.OK, 15_000, values=body)
        return failing((state.METRICS,), state.TIMEOUT)(request, now)

    drive = Drive(answers).run(1300)
    assert drive.asked(CRI) == [9, 609, 1209]
    probe = next(e for e in drive.events if e.kind == state.PROBE)
    assert probe.id == f"node-a:cri:{round((T0 + 9) * 1000)}"
    assert probe.body == {
        "node": "node-a", "probe": "cri", "why": "metrics-timeout", "verdict": "runtime-wide",
        "calls": [],
    }  # fmt: skip


def test_a_driver_without_a_black_box_is_asked_again_as_rarely() -> None:
    drive = Drive(failing((state.METRICS,), state.TIMEOUT)).run(700)
    assert drive.asked(CRI) == [9, 609]


def test_the_faster_pace_ends_after_the_last_reason_and_is_bounded() -> None:
    short = Drive(failing((state.METRICS,), state.TIMEOUT, until=T0 + 20)).run(120)
    assert short.reasons[-1][1] == ()
    calm = short.reasons[-1][0] + 30
    after = [t for t in short.asked(state.METRICS) if t > calm]
    assert {round(b - a, 3) for a, b in pairwise(after)} == {5}
    config = NodeConfig(suspicion=SuspicionConfig(fast_for_s=60))
    stands = Drive(failing((state.HEALTHZ,), state.STATUS), config)
    stands.answers = lambda r, now: (
        (now + 0.01, Answer(r, state.OK, 10, 500, b"[-]syncloop failed: x\n"))
        if r.part == state.HEALTHZ
        else fine(r, now)
    )
    stands.run(300)
    assert stands.sampler.reasons == ("healthz",)
    assert len([t for t in stands.asked(state.HEALTHZ) if t < 60]) > 50
    assert len([t for t in stands.asked(state.HEALTHZ) if t > 100]) == 40


@pytest.mark.parametrize(
    ("status", "body", "outcome", "detail"),
    [
        (403, b"Forbidden (user=u, verb=get, resource=nodes, subresource=metrics)",
         state.FORBIDDEN, "`get` on `nodes/metrics`"),
        (401, b"Unauthorized", state.FORBIDDEN, "401"),
        (500, b"it is\n down", state.STATUS, "it is down"),
        (200, b"<html>", state.UNREADABLE, "/metrics: no metric of a kubelet"),
    ],
)  # fmt: skip
def test_answers_that_are_none_say_why(status: int, body: bytes, outcome: str, detail: str) -> None:
    drive = Drive(
        lambda r, now: (
            (now + 0.01, Answer(r, state.OK, 10, status, body))
            if r.part == state.METRICS
            else fine(r, now)
        )
    ).run(59)
    event = drive.samples(state.METRICS)[0]
    assert (event.body["outcome"], event.body["status"]) == (outcome, status)
    assert detail in event.body["detail"]
    assert "values" not in event.body
    # what RBAC forbids is not asked for every five seconds
    assert len(drive.asked(state.METRICS)) == (1 if outcome == state.FORBIDDEN else 12)
    assert drive.reasons == []


def test_a_failed_check_is_named_and_counts() -> None:
    text = b"[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n"
    drive = Drive(
        lambda r, now: (
            (now + 0.01, Answer(r, state.OK, 10, 500, text))
            if r.part == state.HEALTHZ
            else fine(r, now)
        )
    ).run(10)
    event = drive.samples(state.HEALTHZ)[0]
    assert event.body["outcome"] == state.STATUS
    assert event.body["values"]["failed"] == ["syncloop"]
    assert drive.sampler.reasons == ("healthz",)
    assert drive.asked(CRI) == [1.01]  # twice in a row


def test_ids_differ_though_the_wall_clock_steps_back() -> None:
    sampler = Sampler(NodeConfig(), node="n")
    ids = set()
    for step in range(4):
        now = Instant(1000.0 + 5 * step, 1_795_000_000_000 - 60_000 * step)
        for request in sampler.due(now):
            assert request.id not in ids
            ids.add(request.id)
            sampler.answered(Answer(request, state.REFUSED, 1), now)
    assert len([i for i in ids if ":metrics:" in i]) == 4


def test_an_answer_nobody_waits_for_is_no_event() -> None:
    sampler = Sampler(NodeConfig(), node="n")
    now = Instant.at(T0)
    requests = sampler.due(now)
    answer = Answer(requests[0], state.TIMEOUT, 4000)
    assert len(sampler.answered(answer, now)) == 1
    assert sampler.answered(answer, now) == []
    other = Answer(replace(requests[1], id="n:other:1"), state.OK, 1, 200, b"")
    assert sampler.answered(other, now) == []


def test_hastened_means_now_and_once() -> None:
    drive = Drive(fine)
    drive.run(3)
    drive.sampler.hasten(state.GROWTH)
    drive.sampler.hasten("no such part")
    drive.run(1)
    assert drive.asked(state.GROWTH) == [0, 3]


def test_the_canary_is_a_probe_and_only_when_wanted() -> None:
    config = NodeConfig(canary=CanaryConfig(enabled=True, every_s=30))
    targets = [{"name": "dns", "address": "10.0.0.10:53", "outcome": "ok", "ms": 1}]

    def answers(request: Request, now: float) -> tuple[float, Answer] | None:
        if request.part != PATH:
            return fine(request, now)
        return now + 1, Answer(request, state.OK, 1000, values={"targets": targets})

    drive = Drive(answers, config).run(59)
    assert drive.asked(PATH) == [0, 30]
    probes = [e for e in drive.events if e.kind == state.PROBE]
    assert len(probes) == 2
    assert probes[0].body == {"node": "node-a", "probe": "path", "targets": targets}
    assert PATH not in {r.part for _, r in Drive(fine).run(59).log}
    lost = Drive(
        lambda r, now: (
            (now + 6, Answer(r, state.TIMEOUT, 6000)) if r.part == PATH else fine(r, now)
        ),
        config,
    ).run(20)
    assert [e for e in lost.events if e.kind == state.PROBE] == []


def test_the_same_answers_give_the_same_events() -> None:
    runs = [
        Drive(failing(KUBELET, state.TIMEOUT, since=T0 + 40, until=T0 + 100)).run(200)
        for _ in range(2)
    ]
    assert runs[0].events == runs[1].events
    encoded = [[state.encode_state(e) for e in run.events] for run in runs]
    assert encoded[0] == encoded[1]
    assert [state.decode_state(value) for value, _ in encoded[0]] == runs[0].events
