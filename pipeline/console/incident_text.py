"""Incidents as people read them: a table of many, and the whole story of one; and as programs do.

Texts from the cluster (messages, log lines) are shown harmlessly: they must not drive the
terminal of the person who reads them at night.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from pipeline.console.output import harmless
from pipeline.console.when import rfc3339
from pipeline.readiness.catalogue import Catalogue, Cause

_STYLE = {"certain": "bold red", "probable": "red", "possible": "yellow", "unknown": "yellow"}
_MOST_AFFECTED = 20
_FILE_WIDTH = 180  # where there is no terminal that has one
_ROLES = {
    "proof": "proves it",
    "required": "needed for it",
    "supporting": "fits it",
    "other": "also seen",
    "against": "speaks against it",
}

_FIELDS = (
    "id", "entity", "status", "severity", "cause", "verdict", "because", "confidence", "title",
    "opened_at", "detected_at", "closed_at", "evidence", "affected",
)  # fmt: skip

Body = Mapping[str, Any]


def incident_document(body: Body) -> dict[str, Any]:
    """An incident as programs read it; times are Unix ms, `closed_at` null while it is open."""
    document = {name: body[name] for name in _FIELDS if name in body}
    document["closed_at"] = body["closed_at"] or None
    return document


def print_incidents(bodies: Sequence[Body], out: TextIO) -> None:
    """One line each, newest last: that is where the eye ends up."""
    console = Console(file=out, highlight=False, width=None if out.isatty() else _FILE_WIDTH)
    if not bodies:
        console.print("no incidents")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("id", "opened", "lasted", "entity", "cause", "confidence", "affected"):
        table.add_column(name, overflow="fold")
    for body in bodies:
        table.add_row(
            body["id"],
            moment(body["opened_at"]),
            lasted(body),
            harmless(body["entity"]),
            body["verdict"],
            body["confidence"],
            str(len(body["affected"])),
            style=_STYLE[body["confidence"]] if body["status"] == "open" else "dim",
        )
    console.print(table)


def moment(ms: int) -> str:
    """To the second, UTC."""
    return f"{rfc3339(ms * 1_000_000)[:19]}Z"


def lasted(body: Body) -> str:
    """How long, or that it goes on."""
    if not body["closed_at"]:
        return "open"
    return duration(body["closed_at"] - body["opened_at"])


def duration(ms: int) -> str:
    seconds = ms // 1000
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def story(body: Body, versions: Sequence[Body], catalogue: Catalogue) -> Iterator[str]:
    """Why this cause, what speaks against it, what was ruled out, what is missing, what to do,
    how it went, whom it hits."""
    cause = catalogue.causes.get(body["verdict"])
    yield f"{body['entity']}: {body['title']}"
    because = f" because {body['because']}" if body["because"] else ""
    yield (
        f"incident {body['id']}, {body['status']}, cause {body['verdict']}{because} "
        f"({body['confidence']})"
    )
    yield (
        f"began {moment(body['opened_at'])}, reported {moment(body['detected_at'])}"
        + (f", ended {moment(body['closed_at'])}" if body["closed_at"] else "")
    )
    yield from _evidence(body)
    yield from _others(body, catalogue)
    if cause is not None:
        yield from _advice(cause)
    yield from _course(versions)
    yield from _affected(body)


def _evidence(body: Body) -> Iterator[str]:
    yield ""
    yield "Why"
    shown = sorted(body["evidence"], key=lambda e: (list(_ROLES).index(e["role"]), e["first"]))
    for evidence in shown:
        times = f", {evidence['count']} times" if evidence["count"] > 1 else ""
        who = f" [{evidence['subject']}]" if evidence["subject"] else ""
        yield (
            f"  {moment(evidence['first'])[11:]} {evidence['atom']}{harmless(who)} "
            f"({_ROLES[evidence['role']]}{times}; kubeledger.state {evidence['offset']})"
        )
        yield f"           {harmless(evidence['quote'])}"


def _others(body: Body, catalogue: Catalogue) -> Iterator[str]:
    verdict = catalogue.causes.get(body["verdict"])
    differs = verdict.lookalikes if verdict else {}
    rows = []
    for candidate in body["candidates"]:
        name = candidate["cause"]
        if name == body["verdict"]:
            if candidate["against"]:
                rows.append(f"  {name}: spoken against by {', '.join(candidate['against'])}")
            continue
        if candidate["against"]:
            why = f"ruled out by {', '.join(candidate['against'])}"
        elif candidate["missing"]:
            groups = (" or ".join(group[:3]) for group in candidate["missing"])
            why = f"not shown: {'; '.join(groups)}"
        else:
            why = f"fits too, {candidate['confidence']}"
        rows.append(f"  {name}: {why}")
    named = {candidate["cause"] for candidate in body["candidates"]}
    rows += [
        f"  {name}: no sign of it ({how})" for name, how in differs.items() if name not in named
    ]
    if rows:
        yield ""
        yield "Other causes"
        yield from rows


def _advice(cause: Cause) -> Iterator[str]:
    if cause.capture:
        yield ""
        yield "Save first"
        yield from (f"  - {what}" for what in cause.capture)
    yield ""
    yield "What to do, safest first"
    yield from (f"  {number}. {step}" for number, step in enumerate(cause.remedy, 1))
    yield from (f"  !  {step}" for step in cause.avoid)
    yield from (f"  see {link}" for link in cause.docs)


def _course(versions: Sequence[Body]) -> Iterator[str]:
    if not versions:
        return
    yield ""
    yield "How it went"
    last = ("", "", "")
    for body in versions:
        now = (body["verdict"], body["confidence"], body["status"])
        if now != last:
            yield f"  {moment(body['at'])[11:]} {body['status']}: {now[0]} ({now[1]})"
        last = now


def _affected(body: Body) -> Iterator[str]:
    affected = body["affected"]
    if affected:
        yield ""
        yield f"Affected: {len(affected)}"
        yield from (f"  {harmless(name)}" for name in affected[:_MOST_AFFECTED])
        if len(affected) > _MOST_AFFECTED:
            yield f"  … and {len(affected) - _MOST_AFFECTED} more; --json has all"
