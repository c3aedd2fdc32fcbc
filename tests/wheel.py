"""`make wheel`: what a user gets from `pip install`, tried as a user would.

Builds the wheel from the checkout, installs it by the steps of the image in an empty environment,
leaves the checkout, and runs the command as the chart does: without rights, and able to write to
its volumes alone.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UID = 65532  # of the image
LIMIT_S = 300.0  # whatever has not ended by then hangs
BARE = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}


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
        install(away, wheel)
        command = away / "env" / "bin" / "kubeledger"
        volume, confined = sandbox(away)
        assert "demo" in run(*confined, command, "--help", cwd=volume.parent, env=BARE)
        demo = (command, "demo", "--seconds", "10", "--json")
        answer = json.loads(run(*confined, *demo, cwd=volume.parent, env=temporary(volume)))
        print(json.dumps(answer))
        assert answer["ok"], "the demo from the wheel found something wrong"
        assert answer["kills"] == 3
        serve_whole(confined, command, volume)
        assert not list(volume.parent.glob("[!v]*")), "something was written beside the volumes"
        assert not strays(volume), f"written outside of the volumes: {strays(volume)}"


def install(away: Path, wheel: Path) -> None:
    """The steps of deploy/image/Dockerfile: nothing is compiled, every hash is known, pip goes."""
    venv.create(away / "env", with_pip=True)
    pip = [away / "env" / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    lock = ROOT / "deploy" / "image" / "requirements.lock"
    run(*pip, "install", "-q", "--no-compile", "--require-hashes", "--only-binary=:all:",
        "-r", lock, cwd=away)  # fmt: skip
    run(*pip, "install", "-q", "--no-compile", "--no-deps", wheel, cwd=away)
    print(run(*pip, "check", cwd=away).strip())  # the lock has all that the wheel asks for
    run(*pip, "uninstall", "-q", "--yes", "pip", cwd=away)


def sandbox(away: Path) -> tuple[Path, list[str]]:
    """As the chart runs it: another user, no capability, a working directory that cannot be
    written, and one that can. Who is not root already is that user."""
    away.chmod(0o755)
    volume = away / "root" / "volume"
    volume.mkdir(parents=True)
    if os.getuid() != 0:
        volume.parent.chmod(0o555)
        return volume, []
    os.chown(volume, UID, UID)
    return volume, ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups",
                    "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]  # fmt: skip


def temporary(volume: Path) -> dict[str, str]:
    """The chart mounts /tmp; here it is a directory of the volume."""
    (volume / "tmp").mkdir(exist_ok=True, mode=0o777)
    (volume / "tmp").chmod(0o777)
    return {**BARE, "TMPDIR": str(volume / "tmp")}


def serve_whole(confined: list[str], command: Path, volume: Path) -> None:
    """Profile small: bus, store, processors and evaluator in one; it comes up, serves and ends."""
    words = [*confined, str(command), "up", "--data", str(volume / "data"), "--page", "off"]
    print("+", *words, flush=True)
    with subprocess.Popen(
        words, cwd=volume.parent, env=temporary(volume), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        said = []
        for line in process.stdout or ():
            said.append(line)
            if " rows, " in line:
                process.send_signal(signal.SIGTERM)
        limit.cancel()
        text = "".join(said)
        assert process.wait(60) == 0, text
        assert all(f"{name} " in text for name in ("process-logs", "process-state", "store")), text


def strays(volume: Path) -> list[str]:
    """Files of that user where everybody may write."""
    if os.getuid() != 0:
        return []
    found = run("find", "/tmp", "/var/tmp", "/dev/shm", "-uid", str(UID), cwd=volume)
    return [line for line in found.splitlines() if not line.startswith(str(volume))]


if __name__ == "__main__":
    main()
