from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors.kubelet.server import KubeletServer, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(certificates: tuple[Path, Path]) -> Iterator[KubeletServer]:
    with KubeletServer(*certificates) as running:
        yield running
