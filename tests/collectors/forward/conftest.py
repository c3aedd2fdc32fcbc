import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.forward.rig import Input


@pytest.fixture
def inputs(tmp_path: Path) -> Iterator[Callable[..., Input]]:
    """Makes forward inputs that end with the test."""
    made: list[Input] = []

    def make(tls: ssl.SSLContext | None = None, **settings: Any) -> Input:
        made.append(Input(tmp_path / f"state-{len(made)}", **settings))
        made[-1].tls = tls
        return made[-1].start()

    yield make
    for one in made:
        one.close()
