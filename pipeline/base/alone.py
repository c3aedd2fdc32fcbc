"""A directory for one process, until it ends: an flock on a file in it."""

import fcntl
import time

DYING_S = 5.0


def alone(handle: int) -> bool:
    """Take the lock on an open file. One that was killed holds its own until all its memory is
    given back, so a lock that is held is tried for a while, in machine time."""
    deadline = time.monotonic() + DYING_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True
