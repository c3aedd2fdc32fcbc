"""`kubeledger drain NODE`: may the node go, as far as its logs are concerned? From the ledger.

Each file of the node is whole in the store, or it is named with what is missing and why. A file
whose end was not recorded may have grown unseen, so it is not certified; except that of a
DaemonSet, of a static pod or of the host, which is written for as long as the node is there: it is
listed with what is stored of it. Once the node was removed, such a file counts as well.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from pipeline.audit import FileAudit, audit
from pipeline.base.clock import Clock
from pipeline.base.errors import UsageError
from pipeline.console.drain_text import drain_lines
from pipeline.console.output import harmless, json_text
from pipeline.console.sizes import human_bytes
from pipeline.store.protocol import Store

NOT_STORED = "not stored"
OPEN = "its end was not recorded"
TWICE = "stored more than once"


@dataclass(frozen=True, slots=True)
class Missing:
    """`bytes` None: how much is not known."""

    file: str
    path: str
    namespace: str
    pod: str
    container: str
    bytes: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """`lasting` are files that are written for as long as the node is there."""

    node: str
    files: int
    stored_bytes: int
    missing: tuple[Missing, ...]
    lasting: tuple[FileAudit, ...]
    drain: Mapping[str, Any] | None

    @property
    def certified(self) -> bool:
        return not self.missing

    def document(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "certified": self.certified,
            "files": self.files,
            "stored_bytes": self.stored_bytes,
            "missing": [asdict(found) for found in self.missing],
            "still_written": [
                {"file": f.file, "path": f.path, "namespace": f.namespace, "pod": f.pod,
                 "container": f.container, "stored": f.stored}
                for f in self.lasting
            ],
            "drain": self.drain,
        }  # fmt: skip


def certificate(
    node: str,
    files: Sequence[FileAudit],
    *,
    lasting: AbstractSet[tuple[str, str]],
    drain: Mapping[str, Any] | None,
) -> Certificate:
    """`lasting`: (namespace, pod) of DaemonSet and static pods of the node."""
    removed = drain is not None and drain["status"] == "removed"
    missing: list[Missing] = []
    stays: list[FileAudit] = []
    for file in files:
        of_node = not file.pod or (file.namespace, file.pod) in lasting
        if not file.ended and of_node and not removed:
            stays.append(file)
        missing += _missing(file, lasts=of_node and not removed)
    stored = sum(file.stored for file in files)
    return Certificate(node, len(files), stored, tuple(missing), tuple(stays), drain)


def _missing(file: FileAudit, *, lasts: bool) -> list[Missing]:
    found: list[tuple[int | None, str]] = []
    if file.explained:
        found.append((file.explained, ", ".join(file.reasons)))
    if file.unexplained:
        found.append((file.unexplained, NOT_STORED))
    if file.duplicates:
        found.append((0, TWICE))
    if file.ended and file.inexact:
        found.append((None, file.inexact))
    if not file.ended and not lasts:
        found.append((None, OPEN))
    names = (file.file, file.path, file.namespace, file.pod, file.container)
    return [Missing(*names, count, reason) for count, reason in found]


def read_certificate(
    store: Store,
    *,
    node: str,
    database: str,
    since_ns: int,
    clock: Clock,
    retention_days: int,
    short_days: int = 3,
    settle_s: float,
    progress: Callable[[str], None],
) -> Certificate:
    """Raises UsageError if the ledger has no file of the node."""
    account = audit(
        store,
        database=database,
        since_ns=since_ns,
        clock=clock,
        node=node,
        retention_days=retention_days,
        short_days=short_days,
        settle_s=settle_s,
        progress=progress,
    )
    if not account.files:
        raise UsageError(
            f"the ledger has no file of node {node!r} in that time; `kubeledger query 'SELECT"
            " DISTINCT node FROM files'` lists those it has"
        )
    return certificate(
        node, account.files, lasting=_lasting(store, node), drain=_drain(store, node)
    )


def _lasting(store: Store, node: str) -> set[tuple[str, str]]:
    kinds = "(startsWith(workload, 'DaemonSet/') OR startsWith(workload, 'Node/'))"
    result = store.query(
        f"SELECT namespace, pod FROM pods WHERE node = {{node:String}} AND {kinds} UNION DISTINCT"
        f" SELECT namespace, pod FROM logs WHERE node = {{node:String}} AND {kinds}",
        {"node": node},
    )
    return {(str(namespace), str(pod)) for namespace, pod in result.rows}


def _drain(store: Store, node: str) -> dict[str, Any] | None:
    """The last one that was recorded."""
    result = store.query(
        "SELECT body FROM drains FINAL WHERE node = {node:String} ORDER BY started_at DESC LIMIT 1",
        {"node": node},
    )
    found: dict[str, Any] | None = json.loads(result.rows[0][0]) if result.rows else None
    return found


def print_certificate(found: Certificate, out: TextIO, *, as_json: bool) -> None:
    if as_json:
        out.write(json_text(found.document()) + "\n")
        return
    out.writelines(f"{harmless(line)}\n" for line in drain_lines(found.drain))
    for missing in found.missing:
        size = "an unknown number of bytes" if missing.bytes is None else human_bytes(missing.bytes)
        out.write(harmless(f"{_where(missing)}: {size}, {missing.reason}") + "\n")
    for file in found.lasting:
        stored = human_bytes(file.stored)
        out.write(harmless(f"{_where(file)}: still written, {stored} stored") + "\n")
    verdict = "every byte is in the store" if found.certified else "NOT every byte is in the store"
    size = human_bytes(found.stored_bytes)
    out.write(f"{found.files} files of {harmless(found.node)}, {size} stored: {verdict}\n")


def _where(file: Missing | FileAudit) -> str:
    name = file.path.rsplit("/", 1)[-1] or file.file
    return f"{file.namespace}/{file.pod} {file.container} {name}" if file.pod else file.path or name
