"""`make image`: the image, built from its Dockerfile and tried as the chart runs it.

Asks for docker or podman, or what CONTAINER names. A read-only root, no capability, another user.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from kubeledger import cli

ROOT = Path(__file__).resolve().parents[1]
TAG = "kubeledger:0.1.0"
CONFINED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp",
            "--network=none")  # fmt: skip
# What is in the image, said by its own interpreter
LOOK = """
import importlib.metadata, json, os, pathlib, shutil, sys
folder = pathlib.Path(sys.prefix)
print(json.dumps({
    "ids": [os.getuid(), os.getgid()],
    "stated": sorted({part["name"].lower() for part in
                      json.loads((folder / "sbom.cdx.json").read_text())["components"]}),
    "installed": sorted({d.name.lower() for d in importlib.metadata.distributions()}),
    "tools": [name for name in ("pip", "cc", "gcc", "git", "make") if shutil.which(name)],
    "sources": [str(path) for top in (folder, pathlib.Path("/data")) for name in (".git", "pytest")
                for path in top.rglob(name)],
    "machine": pathlib.Path("/etc/machine-id").read_text(),
}))
"""


def container() -> str:
    asked = os.environ.get("CONTAINER")
    found = asked or shutil.which("docker") or shutil.which("podman")
    if not found:
        sys.exit("the image is built by docker or podman; neither is on the PATH")
    return found


def run(*command: str) -> str:
    print("+", *command, flush=True)
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


def main() -> None:
    tool = container()
    print(run(tool, "build", "--file", "deploy/image/Dockerfile", "--tag", TAG, "."))
    inside = (tool, "run", "--rm", *CONFINED)
    look(json.loads(run(*inside, "--entrypoint=python", TAG, "-c", LOOK)))
    assert "systemd" in run(*inside, "--entrypoint=journalctl", TAG, "--version")
    said = run(*inside, TAG)
    missing = [name for name in cli.commands if f"  {name} " not in said]
    assert not missing, f"commands that the image lacks: {missing}"
    answer = json.loads(run(*inside, TAG, "demo", "--seconds", "10", "--json"))
    assert answer["ok"], answer
    assert answer["kills"] == 3
    size = int(run(tool, "image", "inspect", "--format", "{{.Size}}", TAG))
    print(f"{TAG}: {size / 1e6:.0f} MB, {json.dumps(answer)}")


def look(found: dict[str, list[str]]) -> None:
    assert found["ids"] == [65532, 65532], found["ids"]
    assert found["stated"] == found["installed"], "the SBOM states what is not there, or not all"
    assert len(found["stated"]) > 30
    assert not found["tools"], found["tools"]
    assert not found["sources"], found["sources"]
    assert not found["machine"], "every container would have the same machine id"


if __name__ == "__main__":
    main()
