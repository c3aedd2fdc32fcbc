"""Whose process is it? The text of /proc/PID/cgroup, read for a pod's uid and a container's id.

Paths that end alike in cgroup v1 (one line a controller) and v2 (one line, `0::`):

  /kubepods/burstable/pod<uid>/<id>                                           cgroupfs
  /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid with _>.slice/
      cri-containerd-<id>.scope | docker-<id>.scope | crio-<id>.scope          systemd
  /system.slice/containerd.service/kubepods-burstable-pod<uid>.slice:cri-containerd:<id>
                                     the kubelet says systemd, containerd cgroupfs
  /system.slice/docker-<id>.scope, /docker/<id>                               no pod at all

Sources: k/k pkg/kubelet/cm/{cgroup_manager_linux,pod_container_manager_linux}.go, containerd
internal/cri/server/helpers.go (getCgroupsPath), cri-o internal/config/cgmgr. A static pod's uid is
32 hex digits without dashes. A container's id is 64 hex digits. Seen from another cgroup namespace
a path begins with `/../..`, so nothing is said about how it begins.
"""

import re
from typing import NamedTuple


class Owner(NamedTuple):
    """Empty: not known, or no container's."""

    pod_uid: str = ""
    container: str = ""


NOBODY = Owner()
_POD = re.compile(
    r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})"
    r"(?![0-9a-f])"
)
_CONTAINER = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])")


def owner(text: str) -> Owner:
    """Of the first line that names one; a pod's line is better than one without a pod."""
    best = NOBODY
    for line in text.splitlines():
        pod, container = _POD.search(line), _CONTAINER.findall(line)
        found = Owner(
            pod.group(1).replace("_", "-") if pod else "", container[-1] if container else ""
        )
        if found.pod_uid and found.container:
            return found
        best = max(best, found, key=_known)
    return best


def _known(found: Owner) -> tuple[bool, bool]:
    return bool(found.pod_uid), bool(found.container)
