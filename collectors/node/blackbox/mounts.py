"""Which network and FUSE mounts hang: `python -m collectors.node.blackbox.mounts` finds out.

A process of its own, without threads, forks one child for each mount, which calls statvfs; who has
not come back at the deadline is killed. A child that cannot even be killed stays until its file
system answers, so it is named in the result (`prober`), and the next run is told of it rather than
leaving another one behind.

Input: one JSON object {"deadline_s", "parallel", "mounts": [{"mount", "type", "path"}]}; output: a
line of JSON for each mount {"mount", "type", "outcome", "ms", "prober"?}.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from collectors.node.host.mounts import Mount
from pipeline.contract.state import OK, TIMEOUT, UNREACHABLE

_NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs")
).union(("afs", "9p", "ocfs2", "gfs2", "orangefs"))
_NOT_FUSE = frozenset(("fusectl", "fuse.lxcfs", "fuse.gvfsd-fuse", "fuse.portal"))
_MOST = 64
_POLL_S = 0.005
COMM = "kubeledger-stat"  # 15 bytes at most


@dataclass(slots=True)
class _Prober:
    pid: int
    mount: dict[str, str]
    began: float


def suspicious(mounts: Sequence[Mount]) -> list[Mount]:
    """Those whose server is another machine, or a process."""
    found = [m for m in mounts if m.type in _NETWORK or m.type.startswith("fuse")]
    return [m for m in found if m.type not in _NOT_FUSE][:_MOST]


def probe(
    mounts: Sequence[dict[str, str]], *, deadline_s: float, parallel: int
) -> Iterator[dict[str, Any]]:
    """Forks: call it in a process without threads."""
    waiting, under_way = list(mounts), list[_Prober]()
    while waiting or under_way:
        while waiting and len(under_way) < parallel:
            under_way.append(_start(waiting.pop(0)))
        for prober in list(under_way):
            result = _result(prober, deadline_s)
            if result is not None:
                under_way.remove(prober)
                yield result
        time.sleep(_POLL_S)


def _start(mount: dict[str, str]) -> _Prober:
    pid = os.fork()
    if pid == 0:
        _name()
        os.closerange(0, 3)  # whoever reads our output must not wait for this one
        try:
            os.statvfs(mount["path"])
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    return _Prober(pid, mount, time.monotonic())


def _name() -> None:
    """It may be seen in state D for long: its name should say whose it is."""
    with suppress(OSError), open("/proc/self/comm", "w") as file:
        file.write(COMM)


def _result(prober: _Prober, deadline_s: float) -> dict[str, Any] | None:
    """None: still within its time."""
    took = time.monotonic() - prober.began
    pid, status = os.waitpid(prober.pid, os.WNOHANG)
    found: dict[str, Any] = {
        "mount": prober.mount["mount"],
        "type": prober.mount["type"],
        "ms": round(took * 1000),
    }
    if pid:
        code = os.waitstatus_to_exitcode(status)
        failed = {"outcome": UNREACHABLE, "detail": os.strerror(code)} if code > 0 else {}
        return found | {"outcome": OK} | failed
    if took < deadline_s:
        return None
    os.kill(prober.pid, signal.SIGKILL)
    time.sleep(0.05)
    gone, _ = os.waitpid(prober.pid, os.WNOHANG)
    return found | {"outcome": TIMEOUT} | ({} if gone else {"prober": prober.pid})


def main() -> None:
    task = json.load(sys.stdin)
    for result in probe(task["mounts"], deadline_s=task["deadline_s"], parallel=task["parallel"]):
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
