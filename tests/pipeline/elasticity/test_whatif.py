"""Recorded demand through the simulation: the same settings give the same decisions."""

import io
import json

import pytest

from pipeline.base.errors import UsageError
from pipeline.console.hpa_changes import Changes
from pipeline.console.whatif import recorded_versions, run_whatif
from pipeline.elasticity.demand import Recorded, recorded_demand
from pipeline.elasticity.hpa import Settings
from pipeline.elasticity.quotas import Quotas
from pipeline.elasticity.whatif import as_recorded, quota_assumption, reproduced, simulate
from tests.journeys.recordings import events

RECORDED = (
    ("hpa-scale-up", "el-a", "web", 4),
    ("hpa-behavior", "el-d", "limited", 8),
    ("hpa-behavior", "el-d", "slow", 1),
    ("hpa-slow-pods", "el-g", "web", 4),
)


def demand(recording: str, namespace: str, name: str) -> Recorded:
    return recorded_demand(recorded_versions(events(recording)), namespace, name)


def same(settings: Settings) -> Settings:
    return settings


@pytest.mark.parametrize(("recording", "namespace", "name", "rescales"), RECORDED)
def test_recorded_settings_give_the_recorded_decisions(
    recording: str, namespace: str, name: str, rescales: int
) -> None:
    """Every rescale of a real controller, from and to, at the same of its looks."""
    recorded = demand(recording, namespace, name)
    assert recorded.startup_s is not None
    run = simulate(recorded, same, recorded.startup_s)
    assert len(recorded.rescales) == len(run.rescales) == rescales
    found, apart = reproduced(recorded, run)
    assert (found, apart) == (rescales, 0)
    was = as_recorded(recorded)
    assert run.pod_hours == pytest.approx(was.pod_hours, rel=0.02)
    assert run.under_s == pytest.approx(was.under_s, abs=5)


def test_other_settings_give_other_decisions() -> None:
    recorded = demand("hpa-behavior", "el-d", "limited")
    was = simulate(recorded, same, 2.0)
    faster = simulate(recorded, Changes(policies_up=("Pods:4:15",)).applied, 2.0)
    assert faster.rescales[0].t == was.rescales[0].t
    assert faster.rescales[0].after == 4  # ceil(220 / 60), and the policy allows 5
    assert faster.under_s < was.under_s
    assert faster.pod_hours > was.pod_hours
    capped = simulate(recorded, Changes(high=2).applied, 2.0)
    assert (capped.peak, capped.maxed_s > 60) == (2, True)
    never = simulate(recorded, Changes(select_up="Disabled").applied, 2.0)
    assert never.rescales == []
    assert never.worst == pytest.approx(284 / 60)  # all of it on one pod
    steady = simulate(recorded, Changes(low=5).applied, 2.0)
    assert steady.rescales[0].after == 5
    assert steady.under_s == 0


def test_a_later_beginning_knows_what_was_there() -> None:
    versions = list(recorded_versions(events("hpa-scale-up")))
    since = versions[0][0] + 150
    recorded = recorded_demand(versions, "el-a", "web", since=since)
    first = recorded.syncs[0]
    assert (first.t, first.current, first.load) == (since, 5, (315.0,))
    assert [(r.before, r.after) for r in recorded.rescales] == [(5, 6), (6, 5), (5, 1)]
    run = simulate(recorded, same, 2.0)
    assert reproduced(recorded, run) == (3, 0)


def test_without_pods_the_replicas_were_all_measured() -> None:
    """A store that keeps HPAs only: demand is average times replicas, and that is the best."""
    versions = [v for v in recorded_versions(events("hpa-scale-up")) if v[1] != "pods"]
    recorded = recorded_demand(versions, "el-a", "web")
    assert (recorded.pods, recorded.startup_s) == ([], None)
    assert [sync.load[0] for sync in recorded.syncs][6:8] == [5 * 306.0, 5 * 80.0]
    assert as_recorded(recorded).peak == 6


def test_slow_pods_cost_time() -> None:
    recorded = demand("hpa-scale-up", "el-a", "web")
    assert simulate(recorded, same, 60.0).under_s > simulate(recorded, same, 1.0).under_s + 30


def test_a_metric_that_was_away_decides_nothing() -> None:
    recorded = demand("hpa-and-drain", "shop", "web")
    assert recorded.unknown_s() == pytest.approx(recorded.end - recorded.syncs[0].t)
    assert simulate(recorded, Changes(low=1).applied, 2.0).rescales == []


def test_a_quota_holds_pods_back_as_it_did() -> None:
    """A real quota of 3 pods, raised to 10 after 50 s: the HPA wanted 5."""
    recorded = demand("scale-blocked", "el-q", "web")
    was, run = as_recorded(recorded), simulate(recorded, same, 2.0)
    assert was.refused_s == pytest.approx(45, abs=16)
    assert run.refused_s == pytest.approx(was.refused_s, abs=16)
    assert run.under_s == pytest.approx(was.under_s, abs=20)
    recorded.quotas = Quotas()
    free = simulate(recorded, same, 2.0)
    assert (free.refused_s, free.under_s < was.under_s / 4) == (0, True), "not as it was"


def test_what_is_assumed_of_quotas() -> None:
    recorded = demand("scale-blocked", "el-q", "web")
    assert "ResourceQuota pods stands as recorded" in quota_assumption(recorded)
    recorded.need = None
    assert "what a pod needs is not recorded" in quota_assumption(recorded)
    assert recorded.allowed(recorded.end) is None
    assert "none is recorded" in quota_assumption(demand("hpa-scale-up", "el-a", "web"))


def text(about: str = "el-a/web", *, as_json: bool = False, **changes: object) -> str:
    out = io.StringIO()
    run_whatif(
        lambda _, __: recorded_versions(events("hpa-scale-up")),
        out,
        about=about,
        changes=Changes(**changes),  # type: ignore[arg-type]
        as_json=as_json,
    )
    return out.getvalue()


def test_text_says_how_far_it_can_be_believed() -> None:
    shown = text(high=3)
    assert "with the recorded settings 4 of 4 rescales come out the same, within 0 s" in shown
    assert "demand is the total load" in shown
    assert "Ready after 2.5 s, the median of those recorded" in shown
    document = json.loads(text(as_json=True, targets=("cpu=120",), tolerance=0.2))
    assert document["recorded_settings"]["targets"] == {"cpu": 60}
    assert document["settings"]["targets"] == {"cpu": 120}
    assert document["settings"]["tolerance"] == {"up": 0.2, "down": 0.2}
    assert document["whatif"]["peak"] == 3  # ceil(250 / 120); 345 / 3 is within the tolerance
    assert document["reproduced"] == {"rescales": 4, "of": 4, "within_s": 0.0}


def test_an_absent_behavior_gets_defaults_only_with_a_part_of_it() -> None:
    settings = Settings(1, 4, ())
    assert Changes(high=9).applied(settings).behavior is None
    behavior = Changes(window_down=60.0).applied(settings).behavior
    assert behavior is not None
    assert (behavior.up.window_s, behavior.down.window_s) == (0, 60)


@pytest.mark.parametrize(
    ("about", "changes", "message"),
    [
        ("web", {}, "is not NAMESPACE/NAME"),
        ("el-a/other", {}, "HPA el-a/other: it is not in what was recorded"),
        ("el-a/web", {"low": 7}, "--min 7 is more than the maximum, 6"),
        ("el-a/web", {"targets": ("rps=7",)}, "the metrics of the HPA are cpu"),
        ("el-a/web", {"targets": ("much",)}, "'much' is no number above 0"),
        ("el-a/web", {"policies_up": ("Pods:4",)}, "is not TYPE:VALUE:SECONDS"),
        ("el-a/web", {"policies_up": ("Nodes:4:15",)}, "is not TYPE:VALUE:SECONDS"),
    ],
)
def test_bad_input_is_said(about: str, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        text(about, **changes)
