"""Ports that are chosen before somebody listens on them, as where a service must be the same after
each restart."""

import errno
import random
import socket

# Below what Linux gives to whoever does not ask for a port of his own (from 32,768 on), and below
# Kubernetes' node ports: nobody gets one by chance before the service listens, or while it is down.
_CHOICE = range(20_000, 30_000)
_random = random.SystemRandom()
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """One that nobody uses, and never the same twice."""
    while True:
        port = _random.choice(_CHOICE)
        if port not in _given and _unused(host, port):
            _given.add(port)
            return port


def _unused(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True
