"""Times as the Kubernetes API writes them."""

from datetime import datetime


def unix_ms(text: str) -> int:
    """Unix milliseconds of an RFC 3339 time; 0 if it is none (metav1.Time may be null)."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (TypeError, ValueError):
        return 0
