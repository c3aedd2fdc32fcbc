"""Timed TCP connects, many at a time on one thread. Nothing is sent."""

import errno
import selectors
import socket
from typing import Any, NamedTuple

from pipeline.base.clock import Clock
from pipeline.contract import state


class Place(NamedTuple):
    """One address to connect to. `name` is what the target is called in the probe."""

    name: str
    ip: str
    port: int


def connect(places: list[Place], deadline_s: float, clock: Clock) -> list[dict[str, Any]]:
    """All at a time; the probe's `targets`, in the order given."""
    began = clock.monotonic()
    codes: dict[Place, tuple[int, float]] = {}  # errno, when
    under_way: dict[int, tuple[Place, socket.socket]] = {}  # by descriptor
    try:
        with selectors.DefaultSelector() as selector:
            for place in places:
                connection, code = _begin(place)
                if connection is None:
                    codes[place] = code, clock.monotonic()
                else:
                    under_way[connection.fileno()] = place, connection
                    selector.register(connection, selectors.EVENT_WRITE)
            left = deadline_s
            while under_way and left > 0:
                left = began + deadline_s - clock.monotonic()
                # Once more when it is over: it may be this thread that is late, on a starved node.
                for key, _ in selector.select(max(left, 0.0)):
                    selector.unregister(key.fd)
                    place, connection = under_way.pop(key.fd)
                    with connection:
                        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    codes[place] = code, clock.monotonic()
    finally:
        for _, connection in under_way.values():
            connection.close()
    late = errno.ETIMEDOUT, clock.monotonic()
    return [_target(place, *codes.get(place, late), began=began) for place in places]


def _begin(place: Place) -> tuple[socket.socket | None, int]:
    """A socket that is connecting; or none, and how that ended at once."""
    family = socket.AF_INET6 if ":" in place.ip else socket.AF_INET
    try:
        connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        return None, error.errno or errno.EIO
    code = connection.connect_ex((place.ip, place.port))
    if code == errno.EINPROGRESS:
        return connection, code
    connection.close()
    return None, code


def _target(place: Place, code: int, at: float, *, began: float) -> dict[str, Any]:
    ip = f"[{place.ip}]" if ":" in place.ip else place.ip
    return {
        "name": place.name,
        "address": f"{ip}:{place.port}",
        "outcome": _outcome(code),
        "ms": round((at - began) * 1000, 1),
    }


def _outcome(code: int) -> str:
    if code == 0:
        return state.OK
    if code == errno.ECONNREFUSED:
        return state.REFUSED
    return state.TIMEOUT if code == errno.ETIMEDOUT else state.UNREACHABLE
