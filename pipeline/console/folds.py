"""The folds that the state processor and every replay run, and what code they are made of."""

from pipeline.base.fold import Fold, Folds, Tripped
from pipeline.base.seen import Seen
from pipeline.elasticity.capacity import Capacity
from pipeline.elasticity.scaling.fold import open_scaling
from pipeline.verdicts import open_diagnosis

# What decides what a fold says.
FOLDED_BY = (
    "pipeline.readiness",
    "pipeline.elasticity",
    "pipeline.verdicts",
    "pipeline.contract",
    "pipeline.base.fold",
    "pipeline.base.seen",
    "pipeline.eventlog.machine",
    "pipeline.eventlog.rows",
    "pipeline.eventlog.seen",
)


def open_folds(tripped: Tripped | None = None) -> Folds:
    """Fresh folds as one."""
    return Folds(fresh_folds(), tripped, seen=Seen())


def fresh_folds() -> dict[str, Fold]:
    """By the name under which their state is kept."""
    return {
        "readiness": open_diagnosis(),
        "scaling": open_scaling(),
        "capacity": Capacity(),
    }
