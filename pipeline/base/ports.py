"""Ports that are chosen before somebody listens on them, as where a service must be the same after
each restart."""

import errno
import os
import random
import socket

# Below what Linux gives to whoever does not ask for a port of his own (from 32,768 on), and below
# Kubernetes' node ports: nobody gets one by chance before the service listens, or while it is down.
_CHOICE = range(20_000, 30_000)
_MOST_KEPT = 64  # more than any pipeline has
_random = random.SystemRandom()
_given: set[int] = set()
_kept: dict[int, int] = {}  # port -> a descriptor that is bound to it, oldest first


def free_port(host: str = "127.0.0.1") -> int:
    """One that nobody uses, and never the same twice. While this process lives, another that asks
    is not given it either: neither before its service listens, nor while that is down."""
    while True:
        port = _random.choice(_CHOICE)
        if port not in _given and _keep(host, port):
            _given.add(port)
            return port


def _keep(host: str, port: int) -> bool:
    """False if somebody uses it. A socket that is bound and does not listen: whoever asks for the
    port alone, as we do, is refused; a server, which sets SO_REUSEADDR, is not."""
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _kept[port] = probe.detach()
    while len(_kept) > _MOST_KEPT:
        os.close(_kept.pop(next(iter(_kept))))
    return True
