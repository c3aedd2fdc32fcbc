"""`python -m tests.soak`: see run.py beside this file. Prints one JSON line; exit 1 when memory or
descriptors grew, or a line is missing, doubled or different."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from pipeline.base.clock import SystemClock
from tests.soak.run import Plan, run_soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--mbps", type=float, default=10.0)
    parser.add_argument("--bus", choices=["sqlite", "kafka"], default="sqlite")
    parser.add_argument("--keep", type=Path, help="work here and keep everything (about 10 GB)")
    options = parser.parse_args()
    directory = options.keep or Path(tempfile.mkdtemp(prefix="kubeledger-soak-"))
    seconds = options.minutes * 60
    plan = Plan(directory, seconds, options.mbps, options.bus, warm_s=min(300.0, seconds / 3))
    try:
        report = run_soak(plan, SystemClock())
    finally:
        if options.keep is None:
            shutil.rmtree(directory, ignore_errors=True)
    report["load"] = os.getloadavg()
    print(json.dumps(report))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
