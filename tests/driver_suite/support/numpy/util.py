"""`check_numpy`: skip a test where numpy or pandas is missing."""

import importlib.util
import unittest
from collections.abc import Callable
from typing import Any

_MISSING = [name for name in ("numpy", "pandas") if importlib.util.find_spec(name) is None]


def check_numpy(test: Callable[..., Any]) -> Callable[..., Any]:
    return unittest.skipIf(bool(_MISSING), f"not installed: {_MISSING}")(test)
