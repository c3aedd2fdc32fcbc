"""fluent-logger's own tests against the forward input. Its sdist (PyPI) brings them; it is fetched
into the cache of the other suites, checked by its hash, and never committed. Their mock server is
replaced, by mockserver.py; handlers.py takes away what they leave behind."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.driver_suite.run import CannotFetch, _pip, _read, cache

pytestmark = pytest.mark.slow
VERSION = "0.11.1"
SHA256 = "6727525ba08671b758e3ac222f36fa3345bc1a77b81e7ddbc045ced68f44cd77"
HERE = Path(__file__).parent
# It sends bytes that are no message and expects to hear nothing of it before its next line: here
# they are refused, sooner or later.
NOT_OURS = "tests/test_sender.py::TestSender::test_broken_conn"


def _sdist() -> Path:
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    sdist = folder / f"fluent_logger-{VERSION}.tar.gz"
    if not sdist.exists():
        words = ["--no-binary", ":all:", "--no-deps", "-d", str(folder)]
        _pip("download", *words, f"fluent-logger=={VERSION}")
    if hashlib.sha256(sdist.read_bytes()).hexdigest() != SHA256:
        raise CannotFetch(f"{sdist} is not what it was when this was written; remove it")
    return sdist


def test_its_own_tests_pass(tmp_path: Path) -> None:
    try:
        sdist = _sdist()
    except CannotFetch as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must not skip fluent-logger's suite: {missing}")
        pytest.skip(str(missing))
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / f"fluent_logger-{VERSION}"
    shutil.rmtree(folder / "fluent")  # what is installed is tested
    shutil.copy(HERE / "mockserver.py", folder / "tests" / "mockserver.py")
    shutil.copy(HERE / "handlers.py", folder / "tests" / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\n")
    words = ["-q", "--timeout", "60", "--junitxml=report.xml", "--deselect", NOT_OURS, "tests"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (folder / "report.xml").exists(), done.stdout[-3000:] + done.stderr[-3000:]
    outcome = _read(folder / "report.xml")
    assert outcome.failed == {}, done.stdout[-3000:]
    assert len(outcome.passed) >= 70
