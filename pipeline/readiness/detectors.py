"""All detectors, in the order in which an event passes them. A new one is added here. `Signals`
comes last; it alone needs the catalogue of signals."""

from collections.abc import Callable

from pipeline.readiness.detect.conditions import Conditions
from pipeline.readiness.detect.endpoints import Endpoints
from pipeline.readiness.detect.events import Events
from pipeline.readiness.detect.host import Host
from pipeline.readiness.detect.jobs import Jobs
from pipeline.readiness.detect.nodes import Nodes
from pipeline.readiness.detect.objects import Objects
from pipeline.readiness.detect.pleg import Pleg
from pipeline.readiness.detect.pods import Pods
from pipeline.readiness.detect.probes import Probes
from pipeline.readiness.detect.volumes import Volumes
from pipeline.readiness.detector import Detector

ALL: tuple[Callable[[], Detector], ...] = (
    Nodes,
    Pleg,
    Host,
    Probes,
    Pods,
    Jobs,
    Volumes,
    Endpoints,
    Objects,
    Conditions,
    Events,
)
