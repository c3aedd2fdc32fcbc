"""Fixtures for all tests: the real parts, started once for a run."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.real.kafka import KafkaNode, RealPartMissing, start_kafka


def pytest_configure(config: pytest.Config) -> None:
    # kafka-python reads its message schemas with a function that Python 3.11 deprecated
    config.addinivalue_line(
        "filterwarnings",
        r"ignore:(read|open)_text is deprecated:DeprecationWarning",
    )


# A slow machine is no finding: no test here judges time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A real Apache Kafka node. Use fresh topic names: it is shared by the whole run. Mark the
    test `real`. A machine that cannot run it skips, except with CI=true."""
    try:
        node = start_kafka(tmp_path_factory.mktemp("kafka"))
    except RealPartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must not skip the real parts: {missing}")
        pytest.skip(str(missing))
    try:
        yield node
    finally:
        node.stop()
