"""The detectors of elasticity, in the order in which an event passes them, after those of
readiness. A new one is added here."""

from collections.abc import Callable

from pipeline.elasticity.detect.cluster_autoscaler import ClusterAutoscaler
from pipeline.elasticity.detect.cronhpa import CronHpas
from pipeline.elasticity.detect.hpa import Hpas
from pipeline.elasticity.detect.karpenter import Karpenter
from pipeline.elasticity.detect.refused import Refused
from pipeline.elasticity.detect.targets import Targets
from pipeline.elasticity.detect.virtual import VirtualNodes
from pipeline.elasticity.detect.vpa import Vpas
from pipeline.readiness.detector import Detector

DETECTORS: tuple[Callable[[], Detector], ...] = (
    Hpas,
    Targets,
    CronHpas,
    Vpas,
    Refused,
    ClusterAutoscaler,
    Karpenter,
    VirtualNodes,
)
