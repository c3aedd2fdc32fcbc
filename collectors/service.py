"""`kubeledger collect`: the settings are read and checked, then this process becomes the agent.

Reading settings takes libraries (the validator, YAML, the command line's) that cost more memory
than the agent itself. So the checked settings are written to an anonymous file and the process
executes Python anew, as `python -m collectors`, which loads only what shipping logs takes. Its
process id, standard streams and signals stay the same.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from collectors.config import CollectConfig
from pipeline.base.config import load
from pipeline.base.handover import pack
from pipeline.base.telemetry import service_telemetry

# glibc: one heap for all threads, which take turns anyway; buffers that come and go with every
# chunk stay mapped instead of being asked of the kernel, and cleared by it, each time.
_ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "4194304",
    "MALLOC_TRIM_THRESHOLD_": "4194304",
}


def run_collect(path: Path | None, environment: Mapping[str, str]) -> NoReturn:
    """Blocks until SIGTERM or SIGINT; a graceful stop is bounded by the configuration."""
    config = load(CollectConfig, service="collect", path=path, environment=environment)
    service_telemetry("collect", environment)  # what it refuses is refused here
    become_agent(config, environment)


def become_agent(config: CollectConfig, environment: Mapping[str, str]) -> NoReturn:
    """Does not return: the agent takes this process's place."""
    settings = os.memfd_create("kubeledger-collect-settings", 0)
    os.write(settings, pack(config).encode())
    home = str(Path(__file__).parents[1])
    search = os.pathsep.join(filter(None, (home, environment.get("PYTHONPATH"))))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execve(  # noqa: S606 - Python itself, no shell wanted
        sys.executable,
        [sys.executable, "-P", "-m", "collectors", str(settings)],
        {**_ALLOCATOR, **environment, "PYTHONPATH": search},
    )
