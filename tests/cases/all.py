"""All synthetic recordings."""

from tests.cases import (
    lookalikes,
    nodes_alive,
    nodes_silent,
    pods,
    pods_more,
    scaling_cron,
    scaling_hpa,
    scaling_nodes,
    workloads,
    workloads_more,
)

_MODULES = (
    nodes_alive,
    nodes_silent,
    pods,
    pods_more,
    workloads,
    workloads_more,
    lookalikes,
    scaling_hpa,
    scaling_cron,
    scaling_nodes,
)
CASES = [case for module in _MODULES for case in module.case.all]
