"""TLS of what listens here."""

import ssl
from pathlib import Path

from pipeline.base.errors import UsageError


def server_tls(cert: Path, key: Path) -> ssl.SSLContext:
    """Raises UsageError for files that are no certificate and key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:
        raise UsageError(f"certificate {cert} with key {key}: {error}") from error
    return context
