"""The audit's account as a person reads it."""

from typing import TextIO

from rich.console import Console
from rich.table import Table

from pipeline.audit import Audit, FileAudit
from pipeline.console.sizes import human_bytes

_STYLE = {"complete": "green", "open": "cyan", "gaps": "yellow", "expired": "dim",
          "unexplained": "red", "duplicate": "red"}  # fmt: skip
_MOST = 200


def print_audit(account: Audit, out: TextIO) -> None:
    """Verdict and totals last, where the eye ends up; files with something to say first."""
    console = Console(file=out, highlight=False, soft_wrap=not out.isatty())
    told = sorted(
        account.files, key=lambda f: f.verdict not in ("unexplained", "duplicate", "gaps")
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("verdict", "container", "file"):
        table.add_column(name, overflow="fold")
    for name in ("rows", "stored", "explained", "missing", "repeats"):
        table.add_column(name, justify="right")
    for file in told[:_MOST]:
        table.add_row(*_row(file), style=_STYLE[file.verdict])
    console.print(table)
    if len(told) > _MOST:
        console.print(
            f"… and {len(told) - _MOST} more files, all {told[-1].verdict}; --json has all"
        )
    for file in told[:_MOST]:
        if file.explained:
            reasons = ", ".join(file.reasons)
            console.print(f"{file.file}: {human_bytes(file.explained)} missing because: {reasons}")
        if file.shed:
            console.print(f"{file.file}: {human_bytes(file.shed)} shed by configuration: "
                          f"{', '.join(file.shed_reasons)}")  # fmt: skip
        if file.inexact:
            console.print(f"{file.file}: {file.inexact}; what was written behind byte "
                          f"{file.expected:,} is missing")  # fmt: skip
    total = account.summary()
    console.print(
        f"{total['files']} files, {total['rows']:,} rows, "
        f"{human_bytes(total['stored_bytes'])} raw: "
        f"{total['complete']} complete, {total['open']} open, "
        f"{total['gaps']} with explained gaps ({human_bytes(total['gap_bytes'])}), "
        f"{total['unexplained']} unexplained, {total['duplicates']} duplicates"
        + (f", {human_bytes(total['shed_bytes'])} shed" if total["shed_bytes"] else "")
    )
    console.print("audit: fine" if total["ok"] else "audit: BAD", style="bold")


def _row(file: FileAudit) -> list[str]:
    where = f"{file.namespace}/{file.pod} {file.container}" if file.pod else file.container
    return [
        file.verdict,
        where,
        file.path.rsplit("/", 1)[-1] or file.file,
        f"{file.rows:,}",
        human_bytes(file.stored),
        human_bytes(file.explained),
        human_bytes(file.unexplained),
        str(file.duplicates),
    ]
