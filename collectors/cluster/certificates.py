"""Secrets, as the dates of the certificates in them, and nothing else.

A Secret comes from the API with its keys and passwords. What leaves this module is namespace,
name, and for each certificate its key in the Secret, its dates and its common name. A value is
decoded only when its key is not named like a private key and it begins as PEM does; whatever else
is in the Secret is not looked at. No message or error quotes a value.
"""

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from collectors.cluster.trim import Object, keep, part

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_BEGIN_BASE64 = base64.b64encode(_BEGIN[:24]).decode()  # a whole number of groups of 3 bytes
MAX_CERTIFICATES = 16  # of one key: a trust bundle of hundreds is not one of ours


def secret(source: Object) -> dict[str, Any]:
    """`certificates`: [{key, not_before, not_after, subject}], times RFC 3339. The second of a
    chain has the key `KEY#2`. One that cannot be read has `unreadable` instead of times."""
    found = []
    for key, value in sorted(part(source, "data").items()):
        if _may_be_certificate(key, value):
            found += list(_certificates(key, value))
    return {"certificates": found, **keep(source, "type")}


def secret_metadata(meta: Object) -> dict[str, Any]:
    """Labels and annotations of a Secret can hold copies of it."""
    return keep(meta, "name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def _may_be_certificate(key: str, value: object) -> bool:
    private = key.endswith(("key.pem", ".key")) or key == "key"
    return not private and isinstance(value, str) and value.startswith(_BEGIN_BASE64)


def _certificates(key: str, value: str) -> Iterator[dict[str, Any]]:
    try:
        text = base64.b64decode(value, validate=True)
    except binascii.Error:
        yield {"key": key, "unreadable": "not base64"}
        return
    for number, block in enumerate(text.split(_BEGIN)[1 : MAX_CERTIFICATES + 1], 1):
        name = key if number == 1 else f"{key}#{number}"
        pem = _BEGIN + block.partition(_END)[0] + _END + b"\n"
        yield {"key": name, **_dates(pem)}


def _dates(pem: bytes) -> dict[str, Any]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return {
            "not_before": _time(certificate.not_valid_before_utc),
            "not_after": _time(certificate.not_valid_after_utc),
            "subject": str(names[0].value) if names else "",
        }
    except ValueError:  # its words would quote the input
        return {"unreadable": "not an X.509 certificate"}


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
