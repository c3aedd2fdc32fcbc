"""Runbook pages: alerts/runbooks/RULE.md, each with the same sections."""

from pathlib import Path

SECTIONS = (
    "What it means", "Why it fires", "How to confirm", "What to do", "What not to do",
    "Look-alikes",
)  # fmt: skip


def missing_sections(page: Path) -> list[str]:
    """What the page lacks; a line each."""
    if not page.is_file():
        return [f"no runbook {page.name} in {page.parent}"]
    text = page.read_text("utf-8")
    return [
        f"{page.name} has no section `## {section}`"
        for section in SECTIONS
        if f"\n## {section}\n" not in text
    ]
