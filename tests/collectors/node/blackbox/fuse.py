"""A FUSE file system that hangs, made with nothing but system calls: it answers INIT, reads every
further request and answers none. Whoever asks it something sleeps uninterruptibly, not even killed
by SIGKILL, until the mount is given up. For root only."""

import ctypes
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

INIT = 26
MNT_FORCE, MNT_DETACH = 1, 2


def _answer_init(device: int) -> None:
    request = os.read(device, 1 << 17)
    _, opcode, unique = struct.unpack_from("=IIQ", request)
    assert opcode == INIT
    body = struct.pack("=IIIIHHIIHHI", 7, 31, 4096, 0, 12, 9, 4096, 1, 1, 0, 0) + bytes(28)
    os.write(device, struct.pack("=IiQ", 16 + len(body), 0, unique) + body)


def _swallow(device: int) -> None:
    """Until the connection is given up: ENODEV."""
    try:
        while os.read(device, 1 << 17):
            continue
    except OSError:
        pass


@contextmanager
def hanging_mount(point: Path) -> Iterator[Path]:
    point.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"needs /dev/fuse: {error}")
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"hangs", str(point).encode(), b"fuse.hangs", 0, options):
        os.close(device)
        pytest.skip(f"needs leave to mount: {os.strerror(ctypes.get_errno())}")
    try:
        _answer_init(device)
        threading.Thread(target=_swallow, args=(device,), daemon=True).start()
        yield point
    finally:
        # Detached first: nothing new comes; force then ends what waits.
        libc.umount2(str(point).encode(), MNT_FORCE)
        libc.umount2(str(point).encode(), MNT_DETACH)
        os.close(device)
