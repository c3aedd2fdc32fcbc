"""TLS of what listens here, and of who is spoken to."""

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


def client_tls(ca_file: Path | str | None) -> ssl.SSLContext:
    """Chain, dates and name are verified, against the system's CAs without a file. Raises OSError.

    Python 3.13 also asks for the extensions that RFC 5280 wants a CA to have. The CAs of many
    clusters and brokers lack a key identifier or a key usage, and nobody else minds."""
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
