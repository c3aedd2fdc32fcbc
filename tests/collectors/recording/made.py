"""Small recordings, made row by row."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collectors.recording.layout import Recording, open_recording

START, END = 1_795_000_000, 1_795_000_060

Row = Mapping[str, Any]


def recording(path: Path, **files: Sequence[Row]) -> Recording:
    """`files`: name with _ for - -> rows."""
    path.mkdir(parents=True, exist_ok=True)
    index = {"start": START, "end": END, "node": "node-a"}
    (path / "index.json").write_text(json.dumps(index))
    for name, rows in files.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (path / f"{name.replace('_', '-')}.jsonl").write_text(text)
    return open_recording(path)
