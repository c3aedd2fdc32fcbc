"""All that is wished for one container: its pod's own words, and the objects that select it."""

from collections.abc import Iterable
from typing import Any

from pipeline.contract.record import PodVersion
from pipeline.logconfig.aliyun_names import environment, log_pilot
from pipeline.logconfig.aliyun_streams import own_files
from pipeline.logconfig.annotations import annotated
from pipeline.logconfig.claims import Wishes
from pipeline.logconfig.fluentbit import fluent_bit
from pipeline.logconfig.objects import ConfigObject


def pod_wishes(pod: PodVersion, container: str, file: str = "") -> Wishes:
    """What the pod itself says of what a container prints, or of a file in its volumes."""
    return (
        annotated(pod.annotations, container)
        + environment(pod, container, file)
        + log_pilot(pod, file)
        + fluent_bit(pod.annotations, container)
    )


def object_wishes(
    objects: Iterable[ConfigObject], pod: PodVersion, container: str, file: str = ""
) -> Wishes:
    """What the objects that select it say; of what it prints, or of a file in its volumes. Whether
    one that cannot be read at all is meant for it is not known: that is a note."""
    found = Wishes()
    for one in objects:
        of: Any = {"pod": pod.name, "container": container, "labels": pod.labels}
        spec = one.chosen(namespace=pod.namespace, file=file, **of)
        if spec is not None:
            found += Wishes([one.claim(spec)], notes=one.notes)
        elif one.means(namespace=pod.namespace, **of):
            found += Wishes(problems=one.problems)
        elif one.problems and one.meant is None and one.may_concern(pod.namespace):
            found += Wishes(notes=one.problems)
    return found


def wished_files(
    objects: Iterable[ConfigObject], pod: PodVersion, container: str
) -> dict[str, str]:
    """Paths and patterns of files that are wished of a container, and by whom."""
    of: Any = {"pod": pod.name, "container": container, "labels": pod.labels}
    found: dict[str, str] = {}
    for one in objects:
        for spec in one.selecting(namespace=pod.namespace, **of):
            for file in spec.files or ():
                found.setdefault(file, one.origin)
    for file, origin in own_files(pod, container):
        found.setdefault(file, origin)
    return found
