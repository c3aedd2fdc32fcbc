"""The timeline of one pod, from the tables of scaling: where its seconds went."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.console.incident_text import moment
from pipeline.console.output import harmless
from pipeline.console.scalings import Body, author, seconds
from pipeline.console.timeline_text import timeline_lines
from pipeline.store.protocol import Store


@dataclass(frozen=True, slots=True)
class PodTimeline:
    """`scaling` is the decision that caused the pod. None: none did, and the body, which has no
    times then, says why; or it is not in the store any more."""

    pod: Body
    scaling: Body | None

    def document(self) -> dict[str, Any]:
        return {**self.pod, "scaling": None if self.scaling is None else dict(self.scaling)}

    def lines(self) -> Iterator[str]:
        """The slowest hop first, then each time with its record."""
        pod = self.pod
        if "times" not in pod:
            began = moment(pod["created_at"]) if pod["created_at"] else "at an unknown time"
            where = f"on {pod['node']}" if pod["node"] else "without a node"
            yield harmless(f"no timeline: not caused by scaling: {pod['reason']}")
            yield harmless(f"  created {began}, {where}")
            return
        name = pod["longest"]
        waits = pod.get("waits_in")
        slowest = f"the longest is {name}, {seconds(pod['segments'][name])}" if name else ""
        total = seconds(pod["total_ms"]) if pod["total_ms"] is not None else pod["status"]
        if waits:
            total, slowest = "not Ready yet", f"waits in {waits}"
        yield f"timeline: {total}{', ' if slowest else ''}{slowest}"
        if self.scaling is not None:
            head = self.scaling
            what = f"{head['workload']} {head['from']} -> {head['to']} by {author(head)}"
            yield harmless(f"  caused by {what} at {moment(head['decided_at'])}, id {head['id']}")
        told = pod["times"]["decided"] or pod["times"]["created"]
        start = told["t"] if told else pod["created_at"] or 0
        yield from timeline_lines(pod, start)


def pod_timeline(store: Store, pod: str) -> PodTimeline | None:
    """Of the youngest pod of this NAMESPACE/NAME: a StatefulSet's have the same name again and
    again. None if nothing is recorded."""
    namespace, name = pod.split("/")
    rows = store.query(
        "SELECT body, scaling_id, by FROM scale_timelines FINAL WHERE namespace = "
        "{namespace:String} AND pod = {name:String} ORDER BY created_at DESC, ko DESC LIMIT 1",
        {"namespace": namespace, "name": name},
    ).rows
    if not rows:
        return None
    body, scaling, by = rows[0]
    heads = (
        store.query("SELECT body FROM scalings FINAL WHERE id = {id:String}", {"id": scaling}).rows
        if by != "none"
        else ()
    )
    return PodTimeline(json.loads(body), json.loads(heads[0][0]) if heads else None)
