"""Beside fluent-logger's own tests as their conftest.py. Some of them leave their handler at the
logger that all of them use: from then on it connects to the port of a server that is gone, with
each line that a later test writes, and stays connected to whoever has that port by then."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_handler_stays() -> Iterator[None]:
    yield
    logger = logging.getLogger("fluent.test")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
