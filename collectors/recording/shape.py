"""What each line of a recording must hold, so that a damaged or foreign file is said with its
place instead of failing later.

Only what the players below read is asked for; everything else may be there or not.
"""

from typing import Any

_WATCH, _KUBELET = "watch-", "kubelet-"
_TEXTS = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")


def complaint(name: str, row: Any) -> str:
    """What is wrong with a line of NAME.jsonl; empty if nothing is."""
    if not isinstance(row, dict) or not _number(row.get("t")):
        return "expected an object with a time `t`"
    if name.startswith(_WATCH):
        return _watch(row)
    if name.startswith(_KUBELET):
        return _answer(row)
    if name == "processes":
        return _processes(row)
    if name == "pod-log-files":
        return _files(row)
    return ""


def _number(value: Any) -> bool:
    """A finite one: times are compared and counted on."""
    return isinstance(value, int | float) and abs(value) < float("inf")


def _watch(row: dict[str, Any]) -> str:
    event = row.get("event")
    if event is None:
        return ""  # an error, or a mark of the recorder
    if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
        return "`event` must be a watch event with an `object`"
    if event.get("type") == "ERROR":
        return ""  # its object is a Status
    meta = event["object"].get("metadata")
    if not isinstance(meta, dict):
        return "`event.object` must have `metadata`"
    wrong = [key for key in _TEXTS if not isinstance(meta.get(key) or "", str)]
    return f"`metadata.{wrong[0]}` must be a string" if wrong else ""


def _answer(row: dict[str, Any]) -> str:
    if not _number(row.get("ms") or 0):
        return "`ms` must be a number"
    if "error" in row or isinstance(row.get("status"), int):
        return ""
    return "expected a numeric `status` or an `error`"


def _processes(row: dict[str, Any]) -> str:
    wanted = {"pid": int, "name": str, "state": str}
    procs = row.get("procs")
    good = isinstance(procs, list) and all(
        isinstance(p, dict) and all(isinstance(p.get(k), kind) for k, kind in wanted.items())
        for p in procs
    )
    return "" if good else "`procs` must be a list of {pid, name, state}"


def _files(row: dict[str, Any]) -> str:
    changed, gone = row.get("changed", {}), row.get("gone", [])
    good = (
        isinstance(changed, dict)
        and isinstance(gone, list)
        and all(isinstance(path, str) for path in gone)
        and all(isinstance(c, list) and len(c) == 3 and _number(c[2]) for c in changed.values())
    )
    return "" if good else "expected `changed` {path: [inode, size, mtime]} and `gone` [path]"
