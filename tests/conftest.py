"""Fixtures for all tests: the real parts, started once for a run."""

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3.connection
from hypothesis import HealthCheck, settings

from pipeline.base import ports
from tests.real.kafka import KafkaNode, RealPartMissing, start_kafka

if TYPE_CHECKING:
    from tests.dashboards.recorded import Recorded


def pytest_configure(config: pytest.Config) -> None:
    # kafka-python reads its message schemas with a function that Python 3.11 deprecated
    config.addinivalue_line(
        "filterwarnings",
        r"ignore:(read|open)_text is deprecated:DeprecationWarning",
    )
    # A service may listen seconds after its port was chosen. Workers that run side by side choose
    # from different ones.
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports._CHOICE = ports._CHOICE[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]


# A slow machine is no finding: no test here judges time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _newest_tls_defaults() -> Iterator[None]:
    """Python 3.13, which the image has, asks more of a CA than most CAs of clusters give. Whichever
    Python runs the tests, its clients start from those defaults."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((ssl, "create_default_context"),
                             (urllib3.connection, "create_urllib3_context")):  # fmt: skip
            patch.setattr(module, name, _strict(getattr(module, name)))
        yield


def _strict(make: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    def strict(*args: object, **named: object) -> ssl.SSLContext:
        context = make(*args, **named)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    return strict


@contextmanager
def _running_kafka(folder: Path) -> Iterator[KafkaNode]:
    try:
        node = start_kafka(folder)
    except RealPartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must not skip the real parts: {missing}")
        pytest.skip(str(missing))
    try:
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A real Apache Kafka node. Use fresh topic names: it is shared by the whole run. Mark the
    test `real`. A machine that cannot run it skips, except with CI=true."""
    with _running_kafka(tmp_path_factory.mktemp("kafka")) as node:
        yield node


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaNode]:
    """One for this test alone, which uses the product's own topic names."""
    with _running_kafka(tmp_path / "kafka") as node:
        yield node


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Recorded]":
    """A store as a pipeline leaves it after the recordings; read only, for all who want one."""
    from tests.dashboards.recorded import recorded_store  # few tests need all that

    with recorded_store(tmp_path_factory.mktemp("recorded")) as found:
        yield found
