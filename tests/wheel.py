"""`make wheel`: what a user gets from `pip install`, tried as a user would.

Builds the wheel from the checkout, installs it with the locked versions in an empty environment,
leaves the checkout, and runs the command.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command: object, cwd: Path, **settings: object) -> str:
    print("+", *command, flush=True)
    done = subprocess.run([str(c) for c in command], cwd=cwd, check=True, text=True,
                          stdout=subprocess.PIPE, **settings)  # fmt: skip
    return done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kubeledger-wheel-") as name:
        away = Path(name)
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", away]
        run(*build, ROOT, cwd=away)
        (wheel,) = away.glob("*.whl")
        print(f"{wheel.name}: {wheel.stat().st_size / 1e3:.0f} kB")
        venv.create(away / "env", with_pip=True)
        python = away / "env" / "bin" / "python"
        # The lock as constraints: the versions that were tested, only what the wheel asks for.
        constraints = away / "constraints.txt"
        lock = (ROOT / "requirements.lock").read_text()
        pins = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?(==[^\\\n]+)", lock, re.M)
        constraints.write_text("\n".join(name + rest.strip() for name, rest in pins))
        run(python, "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check",
            "-c", constraints, wheel, cwd=away)  # fmt: skip
        command = away / "env" / "bin" / "kubeledger"
        environment = {
            k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")
        }
        assert "demo" in run(command, "--help", cwd=away, env=environment)
        answer = json.loads(
            run(command, "demo", "--seconds", "10", "--json", cwd=away, env=environment)
        )
        print(json.dumps(answer))
        assert answer["ok"], "the demo from the wheel found something wrong"
        assert answer["kills"] == 3


if __name__ == "__main__":
    main()
