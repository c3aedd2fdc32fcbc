"""The state of alerting: records on kubeledger.alerts, one partition, compacted.

A key is KIND/NAME, a value one JSON object as of a fact (pipeline/contract/facts.py); the latest
record of a key counts, a tombstone ends it. Reading the topic from its beginning gives the whole
state. Kinds:

  alert    NAME = fingerprint: the latest version of an alert, body as in alerts/alert.py
  silence  NAME = its id: {matchers: [text], starts_at, ends_at, by, comment}, Unix ms
  notice   NAME = target/group: what was told to whom {alerts: {fingerprint: [status, starts_at,
           cause]}, at, failed?, trying?: as alerts, what may have been told}
  resend   NAME = target/group: forget what was told, tell it again {}
  rules    NAME = `-`: digest of the rules that have seen all facts up to the group's position
"""

from typing import NamedTuple

from pipeline.contract.facts import ALERT, Fact, decode_fact, encode_fact
from pipeline.contract.fields import VERSION, Headers, RecordError

SILENCE, NOTICE, RESEND, RULES = "silence", "notice", "resend", "rules"
CHANGE_KINDS = (ALERT, SILENCE, NOTICE, RESEND, RULES)


class Change(NamedTuple):
    """`fact` None: it is no more."""

    kind: str
    name: str
    fact: Fact | None


def encode_change(change: Change) -> tuple[bytes, bytes | None, Headers]:
    """Key, value and headers. The same change is the same bytes."""
    key = f"{change.kind}/{change.name}".encode("utf-8", "surrogatepass")
    headers = (("v", b"%d" % VERSION), ("kind", change.kind.encode()))
    fact = change.fact
    if fact is None:
        return key, None, headers
    _, value, _ = encode_fact(fact)
    return key, value, headers


def decode_change(key: bytes | None, value: bytes | None) -> Change:
    """Raises RecordError for what is no such record."""
    kind, slash, name = (key or b"").decode("utf-8", "replace").partition("/")
    if kind not in CHANGE_KINDS or not slash:
        raise RecordError(f"key {key!r:.60} is not KIND/NAME, kind one of {CHANGE_KINDS}")
    if value is None:
        return Change(kind, name, None)
    return Change(kind, name, decode_fact(value))
