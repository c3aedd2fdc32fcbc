"""`kubeledger cost`: who writes how much log, what of it is stored, and what is shed, by reason.

Volumes are raw bytes of log files. Templates are lines with their numbers, ids and quoted texts
taken out; what they stand for is estimated from the weights of sampled lines.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from pipeline.console.output import harmless, json_text
from pipeline.console.sizes import human_bytes
from pipeline.store.protocol import Store

BY = ("namespace", "workload", "container", "template")
_KEYS = {
    "namespace": ("namespace",),
    "workload": ("namespace", "workload"),
    "container": ("namespace", "workload", "container"),
    "template": ("namespace", "workload", "template"),
}
_VOLUME = """
SELECT {keys},
       sum(l) AS lines, sum(b) AS bytes,
       sumMap(map(reason, toUInt64(sl))) AS shed_lines_by,
       sumMap(map(reason, toUInt64(sb))) AS shed_bytes_by,
       sum(sl) AS shed_lines, sum(sb) AS shed_bytes
FROM (
    SELECT namespace, workload, container, '' AS reason, count() AS l, sum(nbytes) AS b,
           0 AS sl, 0 AS sb
    FROM logs WHERE ts >= {{since:DateTime64(9, 'UTC')}} GROUP BY namespace, workload, container
    UNION ALL
    SELECT namespace, workload, container, reason, 0 AS l, 0 AS b, sum(rows) AS sl, sum(bytes) AS sb
    FROM shed WHERE ts >= {{since:DateTime64(9, 'UTC')}}
    GROUP BY namespace, workload, container, reason
)
GROUP BY {keys} ORDER BY bytes + shed_bytes DESC, {keys} LIMIT {{limit:UInt32}}
"""
_TEMPLATES = """
SELECT namespace, workload,
       replaceRegexpAll(
           replaceRegexpAll(substring(body, 1, 200), '"[^"]*"', '"…"'),
           '\\\\b(?:0x)?[0-9a-fA-F]*[0-9][0-9a-fA-F]*(?:[-:.][0-9a-fA-F]*[0-9][0-9a-fA-F]*)*', '#'
       ) AS template,
       round(sum(weight)) AS lines, round(sum(nbytes * weight)) AS bytes, sum(nbytes) AS stored
FROM logs WHERE ts >= {since:DateTime64(9, 'UTC')}
GROUP BY namespace, workload, template ORDER BY bytes DESC, template LIMIT {limit:UInt32}
"""


def run_cost(
    store: Store, out: TextIO, *, by: str, since_ns: int, limit: int, as_json: bool
) -> None:
    """Largest first. `by` is one of BY."""
    parameters = {"since": f"{since_ns // 10**9}.{since_ns % 10**9:09d}", "limit": limit}
    if by == "template":
        rows = store.query(_TEMPLATES, parameters).rows
        found = [_template(row) for row in rows]
    else:
        keys = _KEYS[by]
        rows = store.query(_VOLUME.format(keys=", ".join(keys)), parameters).rows
        found = [_volume(keys, row) for row in rows]
    if as_json:
        out.write(json_text(found) + "\n")
    else:
        _print(_KEYS[by], found, out)


def _volume(keys: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    lines, stored, lines_by, bytes_by, shed_lines, shed = row[len(keys) :]
    reasons = sorted(reason for reason in bytes_by if reason)
    return {
        **dict(zip(keys, row, strict=False)),
        "written_lines": int(lines) + int(shed_lines),
        "stored_lines": int(lines),
        "stored_bytes": int(stored),
        "shed_bytes": int(shed),
        "shed": {r: {"lines": int(lines_by[r]), "bytes": int(bytes_by[r])} for r in reasons},
    }


def _template(row: Sequence[Any]) -> dict[str, Any]:
    namespace, workload, template, lines, written, stored = row
    return {
        "namespace": namespace,
        "workload": workload,
        "template": template,
        "lines": int(lines),
        "bytes": int(written),
        "stored_bytes": int(stored),
    }


def _print(keys: Sequence[str], found: Sequence[Mapping[str, Any]], out: TextIO) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in keys:
        table.add_column(name, overflow="fold")
    for name in ("lines", "stored", "shed", "why"):
        table.add_column(name, justify="right" if name != "why" else "left")
    for one in found:
        shed = int(one.get("shed_bytes", one.get("bytes", 0) - one["stored_bytes"]))
        why = ", ".join(f"{r} {human_bytes(v['bytes'])}" for r, v in one.get("shed", {}).items())
        lines = one["lines"] if "lines" in one else one["written_lines"]
        table.add_row(
            *(harmless(str(one[name])) for name in keys),
            f"{lines:,}",
            human_bytes(one["stored_bytes"]),
            human_bytes(shed) if shed > 0 else "",
            why,
        )
    Console(file=out, highlight=False, soft_wrap=not out.isatty(), markup=False).print(table)
