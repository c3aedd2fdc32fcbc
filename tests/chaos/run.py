"""One run: the oracle writes, accidents happen, everything is resumed, and the account is made."""

import subprocess
import sys
from typing import Any

from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal, KubeledgerError
from tests.chaos.harness import Chaos, Setting

_AUDIT = ("files", "complete", "open", "gaps", "inexact", "unexplained", "duplicates", "gap_bytes")


def run_chaos(setting: Setting, clock: Clock) -> dict[str, Any]:
    """The figures; `ok` is false when anything disagrees."""
    directory = setting.directory
    for name in ("pods", "mirror"):
        (directory / name).mkdir(parents=True)
    (directory / "pods.json").write_text('{"kind": "PodList", "items": []}')
    problems: list[str] = []
    report: dict[str, Any] = {"ok": False, "bus": setting.bus, "seed": setting.seed}
    with Chaos(setting, clock) as chaos:
        writer = _writer(setting)
        try:
            chaos.run(writer)
            writer.terminate()
            if writer.wait(60) != 0:
                raise Fatal(f"the oracle ended with {writer.returncode}")
            chaos.settle()
            verdict, account = chaos.judge()
            report |= verdict.document()
            summary = account.summary()
            report["audit"] = {key: summary[key] for key in _AUDIT}
            report["rows"] = summary["rows"]
            problems += verdict.problems
        except KubeledgerError as error:
            problems.append(str(error))
        finally:
            if writer.poll() is None:
                writer.kill()
                writer.wait()
        problems += chaos.tracebacks()
        report["accidents"] = dict(chaos.counts)
        report["outages"] = len(chaos.outages)
    return report | {"ok": not problems, "problem_count": len(problems), "problems": problems[:20]}


def _writer(setting: Setting) -> "subprocess.Popen[bytes]":
    directory, profile = setting.directory, setting.profile
    words = {
        "root": directory / "pods",
        "pods": directory / "pods.json",
        "mirror": directory / "mirror",
        "seed": setting.seed,
        "mbps": profile.mbps,
        "containers": profile.containers,
        "max-files": profile.max_files,
    }
    arguments = [str(word) for name, value in words.items() for word in (f"--{name}", value)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.writer", *arguments], stdin=subprocess.DEVNULL
    )
