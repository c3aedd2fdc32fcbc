"""What the driver's tests expect of their helper module."""

import functools
import io
import logging
import os
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock


def skip_by_server_version(case: unittest.TestCase, required: tuple[int, ...]) -> None:
    case.skipTest(f"needs ClickHouse {'.'.join(map(str, required))}")


def require_server_version(*required: int) -> Callable[..., Any]:
    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            self.client.connection.connect()
            if self.client.connection.server_info.version_tuple() < required:
                skip_by_server_version(self, required)
            return test(self, *args, **kwargs)

        return wrapper

    return decorate


@contextmanager
def capture_logging(name: str, level: str) -> Iterator[io.StringIO]:
    """What a logger writes in the time of the block."""
    logger = logging.getLogger(name)
    buffer = io.StringIO()
    handler = logging.StreamHandler(buffer)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield buffer
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@contextmanager
def patch_env_tz(name: str) -> Iterator[None]:
    """The process's time zone for the time of the block."""
    with mock.patch.dict(os.environ, {"TZ": name}):
        time.tzset()
        yield
    time.tzset()
