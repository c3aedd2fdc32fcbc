"""Which log an event belongs to. Pure.

Fluent Bit's and Fluentd's kubernetes filters put the pod into the record (`kubernetes.pod_name`,
`.namespace_name`, `.container_name`, `.pod_id`, `.host`). Without them a tag that is made of a
path below /var/log/containers names pod, namespace and container, as these filters read it. Else
the log is the tag as a whole: nothing says which part of it names the program.

A client is believed: who may connect may speak for any pod.
"""

import re
from dataclasses import dataclass
from typing import Any

from collectors.forward.refusal import WRONG_TYPE, Refused
from pipeline.contract.record import Source

PREFIX = "forward:"  # of the path in the ledger; the tag follows
_TAG_BYTES = 1024
_CONTAINER_CHARS = 253
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_UID = re.compile(r"[A-Za-z0-9-]{1,64}")
_CONTAINERS_TAG = re.compile(
    r"(?:^|.*[./])var\.log\.containers\."
    r"(?P<pod>[a-z0-9][a-z0-9.-]*)_(?P<namespace>[a-z0-9-]+)_(?P<container>[a-z0-9-]+)"
    r"-[0-9a-f]{64}\.log"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Of a log; empty pod and namespace: of no pod."""

    namespace: str
    pod: str
    uid: str
    container: str
    node: str

    def source(self, tag: str) -> Source:
        return Source(
            self.node, self.namespace, self.pod, self.uid, self.container, 0, PREFIX + tag
        )


def checked_tag(raw: bytes) -> str:
    """Raises Refused for what is no name: it is shown and stored."""
    try:
        tag = raw.decode()
    except UnicodeDecodeError as error:
        raise Refused(WRONG_TYPE, f"a tag is not UTF-8: {raw[:60]!r}") from error
    if len(raw) > _TAG_BYTES or not tag.isprintable():
        raise Refused(
            WRONG_TYPE,
            f"a tag of {len(raw)} bytes is longer than {_TAG_BYTES}, or has control characters: "
            f"{raw[:60]!r}",
        )
    return tag


def of_tag(tag: str, node: str) -> Origin:
    """The log of events that name no pod."""
    if found := _CONTAINERS_TAG.fullmatch(tag):
        return Origin(found["namespace"], found["pod"], "", found["container"], node)
    return Origin("", "", "", tag[:_CONTAINER_CHARS] or "forward", node)


def of_record(record: dict[str, Any], default: Origin) -> Origin:
    """The log of this event; `default` if it does not say, or not in names."""
    found = record.get("kubernetes")
    if not isinstance(found, dict):
        return default
    pod, namespace = found.get("pod_name"), found.get("namespace_name")
    if not (_is_name(pod) and _is_name(namespace)):
        return default
    uid, container, host = found.get("pod_id"), found.get("container_name"), found.get("host")
    return Origin(
        str(namespace),
        str(pod),
        uid if isinstance(uid, str) and _UID.fullmatch(uid) else "",
        str(container) if _is_name(container) else default.container,
        str(host) if _is_name(host) else default.node,
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
