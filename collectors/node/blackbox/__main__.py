"""The black box's own process: `python -m collectors.node.blackbox`, as launcher.py starts it.

Standard input holds one packed object (pipeline/base/handover.py):

    {"config": BlackBoxConfig, "host": HostConfig, "log_roots": [path, …], "why": text,
     "suspects": [container id, pod uid or namespace/pod, …], "left": [{"mount", "pid"}, …]}

Standard output gets one line of JSON, or several of which the last counts. It ends without waiting
for threads that hang, and by an alarm when all else fails. When memory is short it is the one to be
killed, not the agent.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from collectors.node.blackbox.box import run
from pipeline.base.handover import unpack

_NICE = 5


def main() -> None:
    task: Any = unpack(sys.stdin.read())
    os.nice(_NICE)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    signal.alarm(int(task.config.total_s))

    def write(body: dict[str, Any]) -> None:
        line = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        sys.stdout.buffer.write(line.encode("utf-8", "replace") + b"\n")
        sys.stdout.buffer.flush()

    run(task, write)
    os._exit(0)


if __name__ == "__main__":
    main()
