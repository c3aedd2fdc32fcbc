"""Which versions were passed on: what makes the watcher idempotent, and what a list is compared to.

State: per uid the last version, and the name to report it gone by. No objects: 500,000 pods are
200 MB here. The two Event APIs share one, because they show the same objects.
"""

from typing import NamedTuple

from collectors.cluster.trim import Object


class Last(NamedTuple):
    version: str  # resourceVersion
    namespace: str
    name: str


def newer(version: str, than: str) -> bool:
    """Resource versions are opaque by the letter and numbers in every Kubernetes (etcd revisions);
    from 1.35 on comparing them is documented (KEP-5504). Others are new when they differ."""
    if version.isdigit() and than.isdigit():
        return int(version) > int(than)
    return version != than


class Known:
    def __init__(self) -> None:
        self._last: dict[str, Last] = {}

    def __len__(self) -> int:
        return len(self._last)

    def __contains__(self, uid: str) -> bool:
        return uid in self._last

    def get(self, uid: str) -> Last | None:
        return self._last.get(uid)

    def put(self, source: Object) -> None:
        meta = source["metadata"]
        self._last[meta["uid"]] = Last(
            str(meta.get("resourceVersion", "")), meta.get("namespace", ""), meta.get("name", "")
        )

    def drop(self, uid: str) -> Last | None:
        return self._last.pop(uid, None)

    def names(self, uids: set[str]) -> set[tuple[str, str]]:
        """(namespace, name) of these, as far as they are known."""
        found = (self._last.get(uid) for uid in uids)
        return {(last.namespace, last.name) for last in found if last is not None}

    def missing(self, present: set[str]) -> list[str]:
        """Known uids that are not among these."""
        return [uid for uid in self._last if uid not in present]
