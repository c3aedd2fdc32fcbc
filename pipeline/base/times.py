"""Times as the Kubernetes API writes them."""

from datetime import UTC, datetime


def unix_ms(text: str) -> int:
    """Unix milliseconds of an RFC 3339 time; 0 if it is none (metav1.Time may be null)."""
    return int(unix_s(text) * 1000)


def unix_s(text: object) -> float:
    """Unix seconds of it, 0 if it is none. Without a zone it is UTC: what a time means must not
    depend on where it is read."""
    try:
        found = datetime.fromisoformat(text)  # type: ignore[arg-type]
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
