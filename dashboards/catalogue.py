"""All dashboards, in the order in which they are listed."""

from collections.abc import Callable, Mapping

from dashboards import (
    control,
    elasticity,
    fleet,
    incident,
    logs,
    nodes,
    pipeline,
    storage,
    workload,
)
from dashboards.model import Dashboard

DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = {
    "fleet": fleet.dashboard,
    "logs": logs.dashboard,
    "nodes": nodes.dashboard,
    "incident": incident.dashboard,
    "elasticity": elasticity.dashboard,
    "workload": workload.dashboard,
    "storage": storage.dashboard,
    "control": control.dashboard,
    "pipeline": pipeline.dashboard,
}
