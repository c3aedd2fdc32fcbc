"""The diagnosis opened whole: every detector and every cause there is, of readiness and of
elasticity, in one fold. One book and one catalogue, so that one thing has one incident."""

from collections.abc import Mapping
from importlib.resources import files

from pipeline.elasticity.detectors import DETECTORS as OF_ELASTICITY
from pipeline.readiness.catalogue import Catalogue, load_catalogue, load_causes
from pipeline.readiness.detect.signals import Signals
from pipeline.readiness.detectors import ALL as OF_READINESS
from pipeline.readiness.fold import Readiness
from pipeline.readiness.signals import SignalCatalogue, load_signals

_READINESS = files("pipeline.readiness") / "catalogue"
_ELASTICITY = files("pipeline.elasticity") / "catalogue"


def whole_catalogue() -> Catalogue:
    """All causes that are shipped."""
    return load_catalogue(_READINESS, _ELASTICITY)


def elasticity_verdicts() -> frozenset[str]:
    """Ids of the causes that say why capacity does not come; one stands among those of nodes."""
    return frozenset(cause.id for cause in load_causes(_ELASTICITY)) | {"node.slow-join"}


def open_diagnosis(
    catalogue: Catalogue | None = None, signals: SignalCatalogue | None = None
) -> Readiness:
    """The fold with the shipped catalogues and all detectors; what does not fit together is an
    error here, not at night."""
    catalogue = catalogue or whole_catalogue()
    made = [make() for make in (*OF_READINESS, *OF_ELASTICITY)]
    detectors = [*made, Signals(signals or load_signals())]
    says: Mapping[str, str] = {name: text for d in detectors for name, text in d.ATOMS.items()}
    catalogue.check(says)
    return Readiness(catalogue, detectors)
