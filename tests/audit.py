"""`make audit`: known vulnerabilities of the pinned dependencies, of what ships and of what tests.

pip-audit asks PyPI's advisory database. A vulnerability that is not accepted below fails. Where the
database cannot be asked, or does not know the packages (a mirror has no advisories), nothing is
known, and that is said plainly; it is no failure, because it is none of ours.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCKS = (ROOT / "requirements.lock",)  # deploy/image has a subset of it: tests/deploy
PIP_AUDIT = "pip-audit==2.10.1"
PATIENCE_S = 300.0
ACCEPTED: dict[str, str] = {}  # id -> why it does not concern us


def main() -> int:
    for lock in LOCKS:
        answer, why = asked(lock)
        if answer is None:
            print(f"audit: NOT DONE for {lock.name}: {why}", file=sys.stderr)
            continue
        audited, findings = read(answer)
        if not audited:
            print(
                f"audit: NOT DONE for {lock.name}: the advisory database that is reached knows "
                f"none of its {len(answer['dependencies'])} packages",
                file=sys.stderr,
            )
            continue
        skipped = len(answer["dependencies"]) - audited
        print(
            f"audit: {lock.name}: {audited} packages, {skipped} unknown, {len(findings)} findings"
        )
        if findings:
            print("\n".join(findings), file=sys.stderr)
            return 1
    return 0


def asked(lock: Path) -> tuple[dict[str, Any] | None, str]:
    """pip-audit's answer, or why there is none. It exits 1 for findings, and for much else."""
    command = [
        sys.executable, "-m", "uv", "tool", "run", "--from", PIP_AUDIT, "pip-audit",
        "--format", "json", "--progress-spinner", "off", "--disable-pip", "-r", str(lock),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {PATIENCE_S:.0f} s"
    try:
        answer = json.loads(done.stdout)
        if not isinstance(answer["dependencies"], list):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        return None, " ".join(done.stderr.split())[
            -300:
        ] or f"pip-audit ended with {done.returncode}"
    return answer, ""


def read(answer: dict[str, Any]) -> tuple[int, list[str]]:
    """How many packages were looked up; what was found and is not accepted."""
    audited = [found for found in answer["dependencies"] if "vulns" in found]
    return len(audited), [
        f"{found['name']} {found['version']}: {one['id']}, fixed in "
        f"{', '.join(one['fix_versions']) or 'no version'}"
        for found in audited
        for one in found["vulns"]
        if not ACCEPTED.keys() & {one["id"], *one.get("aliases", ())}
    ]


if __name__ == "__main__":
    sys.exit(main())
