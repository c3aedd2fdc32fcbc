"""Why more narrowly, of the synthetic recordings of scaling."""

import pytest

from tests.cases.all import CASES
from tests.cases.case import told

BECAUSE = {
    "metrics_api_is_down": "apiservice-down",
    "a_sidecar_has_no_request": "missing-request",
    "metrics_of_these_pods_never_come": "no-metrics-returned",
    "one_of_two_metrics_fails": "partial",
    "the_target_does_not_exist": "not-found",
    "the_target_cannot_be_written": "not-writable",
    "a_deploy_tool_writes_the_number_back": "other-writer",
    "a_vpa_moves_what_the_hpa_goes_by": "vpa-same-resource",
    "a_quota_stops_the_new_pods": "pods-not-made",
    "the_hpa_has_more_pods_already": "hpa-has-as-many",
    "the_date_is_excluded": "date-excluded",
    "the_run_is_made_up_for_late": "run-late",
    "the_controller_was_away_at_the_time": "not-run",
    "no_pod_matches": "no-pods",
    "the_target_is_owned_by_another": "target-unsupported",
    "every_group_is_full_or_too_small": "max-size",
    "the_node_that_was_asked_for_does_not_come": "out-of-stock",
    "the_only_group_is_in_backoff": "backoff",
    "karpenter_blames_limits_and_it_is_the_taint": "taint",
    "the_cloud_is_sold_out": "out-of-stock",
    "an_old_autoscaler_may_not_ask": "permission",
    "new_nodes_never_register": "timeout",
    "karpenter_finds_no_capacity": "out-of-stock",
    "a_budget_keeps_a_pod_on_its_node": "disruption-budget",
    "the_virtual_node_is_sold_out": "out-of-stock",
}


@pytest.mark.parametrize(("name", "because"), BECAUSE.items())
def test_because(name: str, because: str) -> None:
    case = next(case for case in CASES if case.name == name)
    _, rig = told(case)
    assert rig.versions()[-1]["because"] == because
