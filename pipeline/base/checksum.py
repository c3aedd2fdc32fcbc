"""CRC-32C in hardware. The package's own `__init__` loads a command line and importlib.metadata
(4 MB); only its compiled module is needed."""

from collections.abc import Callable
from importlib import import_module

from pipeline.base.lean import enter

enter("crc32c", {"crc32c": "_crc32c"})

# (data) or (data, checksum of what came before)
crc32c: Callable[..., int] = import_module("crc32c._crc32c").crc32c
