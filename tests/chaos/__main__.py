"""`python -m tests.chaos`: see run.py and account.py beside this file. Prints one JSON line; exit 1
on any disagreement."""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from pipeline.base.clock import SystemClock
from tests.chaos.accidents import Profile
from tests.chaos.harness import Setting
from tests.chaos.run import run_chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--bus", choices=["sqlite", "kafka"], required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, help="of an earlier run; a new one if absent")
    parser.add_argument("--keep", type=Path, help="work here and keep everything")
    parser.add_argument("--minutes", type=float, default=60.0, help="no accidents after this")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    print(f"bus {options.bus}, seed {seed}", file=sys.stderr)
    directory = options.keep or Path(tempfile.mkdtemp(prefix="kubeledger-chaos-"))
    directory.mkdir(parents=True, exist_ok=True)
    setting = Setting(
        bus=options.bus,
        seed=seed,
        profile=Profile(kills=options.kills),
        directory=directory,
        max_s=options.minutes * 60,
    )
    started = time.monotonic()
    report = run_chaos(setting, SystemClock())
    report["seconds"] = round(time.monotonic() - started, 1)
    print(json.dumps(report))
    if not report["ok"]:
        print(
            f"kept in {directory}\nagain with: python -m tests.chaos --bus {options.bus} "
            f"--kills {options.kills} --seed {seed} --keep DIR",
            file=sys.stderr,
        )
        return 1
    if options.keep is None:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
