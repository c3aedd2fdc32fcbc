"""What is wrong in a document, and where."""

from collections.abc import Sequence

Path = tuple[str | int, ...]
Complaint = tuple[Path, str]  # where in the document, what is wrong


class BadSettings(ValueError):
    """`complaints` has one entry for each thing that is wrong."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__("; ".join(f"{dotted(path)}: {text}" for path, text in complaints))
        self.complaints = complaints


def dotted(path: Path) -> str:
    return ".".join(str(part) for part in path) or "the document"
