"""clickhouse-driver's own tests against the embedded store: `python -m tests.driver_suite.run`.

The driver's sdist (PyPI) brings its test modules; it is fetched into $KUBELEDGER_REAL_CACHE or
~/.cache/kubeledger, checked by its hash, and never committed. What does not apply is named in
not_applicable.txt, each with its reason. A test that fails and is not named there is a failure,
and so is a named one that passes.
"""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.pipeline.store.running import Running

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VERSION = "0.2.11"
SHA256 = "1bec70343bde9e9a55c2254c5960d34c682ff7d60256589226d96c67a112f95a"
# Where the driver's own tests have their server.
ZONE = {"TZ": "Europe/Moscow"}
PATIENT = "tests.pipeline.store.patient"  # it cancels queries that are as good as answered
EXTRAS = ("parameterized==0.9.0", "zstd==1.5.7.2")
CONFIG = """[db]
host = 127.0.0.1
port = {port}
secure_port = 9440
database = driver_suite
user = default
password =
compression = lz4,lz4hc,zstd
client = {client}

[log]
level = ERROR
"""


class CannotFetch(Exception):
    """The suite is not in the cache and cannot be had now."""


@dataclass(frozen=True)
class Outcome:
    passed: frozenset[str]
    failed: dict[str, str]  # name -> first line of the failure
    skipped: frozenset[str]


def cache() -> Path:
    folder = os.environ.get("KUBELEDGER_REAL_CACHE") or str(Path.home() / ".cache" / "kubeledger")
    return Path(folder) / "driver-suite"


def fetch() -> tuple[Path, Path]:
    """The sdist, and a folder with what its tests import beyond our own dependencies."""
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    sdist = folder / f"clickhouse_driver-{VERSION}.tar.gz"
    if not sdist.exists():
        words = ["download", "--no-binary", ":all:", "--no-deps", "-d", str(folder)]
        _pip(*words, f"clickhouse-driver=={VERSION}")
    if hashlib.sha256(sdist.read_bytes()).hexdigest() != SHA256:
        raise CannotFetch(f"{sdist} is not what it was when this was written; remove it")
    extras = folder / "extras"
    if not extras.exists():
        _pip("install", "--no-deps", "--target", str(extras), *EXTRAS)
    return sdist, extras


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotFetch(f"pip {words[0]}: {done.stderr.strip()[-500:]}")


@contextmanager
def laid_out(sdist: Path, port: int) -> Iterator[Path]:
    """A folder with the driver's test modules, their helpers, and the configuration."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        source = folder / f"clickhouse_driver-{VERSION}" / "tests"
        shutil.copytree(HERE / "support", folder / "tests")
        shutil.copytree(source, folder / "tests", dirs_exist_ok=True)
        client = folder / "clickhouse-client"
        client.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "client.py"}" "$@"\n')
        client.chmod(client.stat().st_mode | stat.S_IXUSR)
        (folder / "setup.cfg").write_text(CONFIG.format(port=port, client=client))
        (folder / "pytest.ini").write_text("[pytest]\n")
        yield folder


def run_suite(store: Running, selection: list[str] | None = None) -> Outcome:
    sdist, extras = fetch()
    with laid_out(sdist, store.config.port) as folder:
        report = folder / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--timeout", "60"]
        command += [f"--junitxml={report}", *(selection or ["tests"])]
        environment = {
            **os.environ,
            "PYTHONPATH": f"{folder}{os.pathsep}{extras}",
            "KUBELEDGER_SUITE_HTTP": store.http,
            "TZ": "UTC",
        }
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if not report.exists():
            raise AssertionError(f"the suite did not run:\n{done.stdout[-3000:]}{done.stderr}")
        return _read(report)


def _read(report: Path) -> Outcome:
    passed, skipped = set(), set()
    failed: dict[str, str] = {}
    tree = ElementTree.parse(report)  # noqa: S314
    for case in tree.iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('tests.')}::{case.get('name')}"
        trouble = case.find("failure") if case.find("failure") is not None else case.find("error")
        if trouble is not None:
            failed[name] = (trouble.get("message") or "").splitlines()[0][:200]
        elif case.find("skipped") is not None:
            skipped.add(name)
        else:
            passed.add(name)
    return Outcome(frozenset(passed), failed, frozenset(skipped))


def not_applicable() -> dict[str, str]:
    """Test name -> reason."""
    listed: dict[str, str] = {}
    for line in (HERE / "not_applicable.txt").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition("  ")
            listed[name] = reason.strip()
    return listed


def verdict(outcome: Outcome, listed: dict[str, str]) -> list[str]:
    """What is wrong, a line each."""
    wrong = [f"fails: {n}: {why}" for n, why in sorted(outcome.failed.items()) if n not in listed]
    wrong += [f"listed, but passes: {name}" for name in sorted(outcome.passed & set(listed))]
    known = outcome.passed | outcome.skipped | set(outcome.failed)
    wrong += [f"listed, but there is no such test: {n}" for n in sorted(set(listed) - known)]
    wrong += [f"listed without a reason: {name}" for name, why in listed.items() if not why]
    return wrong


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        store = Running(Path(name) / "data", environment=ZONE, module=PATIENT).start()
        try:
            outcome = run_suite(store, sys.argv[1:] or None)
        finally:
            store.stop()
    wrong = verdict(outcome, not_applicable())
    print("\n".join(wrong))
    print(
        f"{len(outcome.passed)} passed, {len(outcome.failed)} do not apply or fail, "
        f"{len(outcome.skipped)} skipped by the suite itself; {len(wrong)} complaints"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
