"""Numbers for people."""


def human_bytes(count: float) -> str:
    """Decimal units, as disks and networks are sold: 1 kB = 1,000 B."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")
