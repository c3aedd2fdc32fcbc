"""The status of cluster-autoscaler, in both of its forms."""

from pipeline.elasticity.ca_status import LAST_UPDATED, Group, parse, updated_ms
from tests.cases.scaling import ca_text, ca_yaml


def test_yaml() -> None:
    backoff = "backoffInfo: {errorCode: QUOTA, errorMessage: no more}"
    cluster, group = parse(ca_yaml(health="Unhealthy", ready=2, total=3, long_unregistered=1,
                                   scale_up="Backoff", backoff=backoff))  # fmt: skip
    assert (cluster.name, cluster.healthy, cluster.ready, cluster.registered) == ("", False, 2, 3)
    assert group == Group("asg-1", True, 2, 3, 1, "Backoff", "QUOTA", "no more", 3, 5)


def test_text() -> None:
    cluster, group = parse(ca_text(health="Unhealthy", scale_up="Backoff", long=2))
    assert (cluster.healthy, cluster.scale_up, cluster.target) == (False, "NoActivity", None)
    assert group == Group("asg-1", True, 3, 3, 2, "Backoff", target=3, max_size=5)


def test_what_is_not_written_is_not_known() -> None:
    [cluster] = parse("autoscalerStatus: Initializing\n")
    assert (cluster.healthy, cluster.ready, cluster.long_unregistered) == (None, None, None)


def test_anything_else_is_no_status() -> None:
    for text in ("", "- a\n", "a: [", "clusterWide: 7\nnodeGroups: [1, {name: }]\n"):
        assert all(group.healthy is None for group in parse(text))


def test_when_it_was_written() -> None:
    note = {LAST_UPDATED: "2026-11-23 05:33:20.123456789 +0000 UTC"}
    assert updated_ms(note) == 1_795_412_000_000
    assert updated_ms({LAST_UPDATED: "yesterday"}) == 0
    assert updated_ms({}) == 0
