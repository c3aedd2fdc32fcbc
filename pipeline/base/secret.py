"""Secrets come from files. Apart from config.py, so that small processes need no validator."""

from pathlib import Path

from pipeline.base.errors import UsageError


def read_secret(path: Path, what: str) -> str:
    """A secret from its file, without the newline at its end. Never logged, never an argument."""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot read the {what}: {error}") from None
