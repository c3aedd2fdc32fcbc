"""What a pod asks the scheduler for (kubernetes, component-helpers resource.PodRequests).

The sum of its containers, sidecars (init containers that restart) among them; or what an init
container needs beside the sidecars that were started before it, if that is more; plus the
overhead of its runtime class. Requests of the pod as a whole (1.34) replace the sum.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.elasticity.quantity import milli, whole

Requests = tuple[int, int]  # millicores, bytes


def pod_requests(spec: Mapping[str, Any]) -> Requests:
    cpu = memory = 0
    for container in spec.get("containers") or ():
        requests = _requests(container)
        if requests:
            cpu += milli(requests.get("cpu", 0))
            memory += whole(requests.get("memory", 0))
    if spec.get("initContainers"):
        cpu, memory = _with_init(spec, cpu, memory)
    overall = _requests(spec)
    if overall:
        cpu = milli(overall["cpu"]) if "cpu" in overall else cpu
        memory = whole(overall["memory"]) if "memory" in overall else memory
    overhead = spec.get("overhead")
    if overhead:
        cpu += milli(overhead.get("cpu", 0))
        memory += whole(overhead.get("memory", 0))
    return cpu, memory


def _with_init(spec: Mapping[str, Any], cpu: int, memory: int) -> Requests:
    side_cpu = side_memory = most_cpu = most_memory = 0
    for container in spec["initContainers"]:
        requests = _requests(container) or {}
        own_cpu, own_memory = milli(requests.get("cpu", 0)), whole(requests.get("memory", 0))
        if container.get("restartPolicy") == "Always":
            side_cpu, side_memory = side_cpu + own_cpu, side_memory + own_memory
            own_cpu = own_memory = 0
        most_cpu = max(most_cpu, side_cpu + own_cpu)
        most_memory = max(most_memory, side_memory + own_memory)
    return max(cpu + side_cpu, most_cpu), max(memory + side_memory, most_memory)


def _requests(source: Mapping[str, Any]) -> Mapping[str, Any] | None:
    resources = source.get("resources")
    return resources.get("requests") if resources else None
