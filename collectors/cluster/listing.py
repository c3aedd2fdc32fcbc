"""One list, page by page.

A paged list is one consistent view: every page carries the resourceVersion of the first, and that
is where the watch begins. The token that continues it expires (410) when the server compacts its
history; then the list begins again, in one piece (as client-go's pager does).
"""

from dataclasses import dataclass, field

from collectors.cluster.ports import Params
from collectors.cluster.trim import Object, each, part
from collectors.cluster.wire import Unreadable, parse


@dataclass(slots=True)
class Listing:
    """State of the list that is being read. `page` 0: all in one answer."""

    page: int
    uids: set[str] = field(default_factory=set)
    version: str = ""
    token: str = ""
    body: bytearray = field(default_factory=bytearray)

    def params(self) -> Params:
        found: list[tuple[str, str]] = []
        if self.page:
            found.append(("limit", str(self.page)))
        if self.token:
            found.append(("continue", self.token))
        return tuple(found)

    def items(self) -> list[Object]:
        """The objects of the page that is complete now. Raises Unreadable."""
        document = parse(bytes(self.body))
        self.body.clear()
        meta = part(document, "metadata")
        version = meta.get("resourceVersion")
        if not isinstance(version, str) or not version:
            raise Unreadable("the list has no metadata.resourceVersion")
        self.version, self.token = version, str(meta.get("continue") or "")
        found = [item for item in each(document, "items") if identified(item)]
        self.uids.update(item["metadata"]["uid"] for item in found)
        return found


def identified(source: Object) -> bool:
    """Only what has a uid can be told apart; every object that the API stores has one."""
    uid = part(source, "metadata").get("uid")
    return isinstance(uid, str) and bool(uid)
