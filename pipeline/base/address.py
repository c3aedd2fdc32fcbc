"""Addresses that a service listens on: HOST:PORT, and who can reach them."""

from ipaddress import ip_address

from pipeline.base.errors import UsageError


def split_address(address: str, *, example: str, what: str = "address") -> tuple[str, int]:
    """Host without brackets, and port. Raises UsageError that says `what` is wrong and shows the
    `example`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{what} {address!r} is not HOST:PORT, for example {example}")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Only from this machine. A name other than localhost may be anything."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
