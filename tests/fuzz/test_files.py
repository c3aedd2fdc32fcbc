"""Recordings and capsules that somebody sends: whatever is in the files, it is read or refused with
the place."""

import gzip
import json
from pathlib import Path
from typing import Any

import zstandard
from hypothesis import given
from hypothesis import strategies as st

from collectors.recording.layout import open_recording
from pipeline.base.errors import UsageError
from pipeline.console.capsule import FILE, read_capsule
from tests.fuzz.hostile import CLASSICS, bent, examples, mistyped, only, written
from tests.fuzz.test_records import EVENTS

RECORDING = Path(__file__).parents[1] / "recordings" / "nodes" / "pleg-hang-runtime"
INDEX = json.loads((RECORDING / "index.json").read_text())
NAMES = sorted(p.name.removesuffix(".gz").removesuffix(".jsonl")
               for p in RECORDING.glob("*.jsonl.gz"))  # fmt: skip


def first(name: str) -> Any:
    with gzip.open(RECORDING / f"{name}.jsonl.gz") as lines:
        return json.loads(next(lines))


ROWS = {name: first(name) for name in NAMES}


@examples(100)
@given(written(mistyped([INDEX])) | bent([json.dumps(INDEX).encode()]) | st.sampled_from(CLASSICS))
def test_index(tmp_path_factory: Any, text: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "index"
    folder.mkdir(exist_ok=True)
    (folder / "index.json").write_bytes(text)
    only(UsageError, lambda: open_recording(folder))


@examples(100)
@given(st.data(), st.sampled_from(NAMES), st.booleans())
def test_rows(tmp_path_factory: Any, data: st.DataObject, name: str, packed: bool) -> None:
    folder = tmp_path_factory.getbasetemp() / "rows"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (folder / "index.json").write_text(json.dumps(INDEX))
    row = json.dumps(ROWS[name]).encode()
    text = data.draw(written(mistyped([ROWS[name]])) | bent([row]) | st.sampled_from(CLASSICS))
    if packed:
        whole = gzip.compress(text + b"\n" + row)
        (folder / f"{name}.jsonl.gz").write_bytes(data.draw(bent([whole])))
    else:
        (folder / f"{name}.jsonl").write_bytes(text)
    only(UsageError, lambda: list(open_recording(folder).rows(name)))


@examples(100)
@given(bent([zstandard.compress(b"".join(json.dumps(one).encode() + b"\n" for one in EVENTS))])
       | written(mistyped(EVENTS)).map(zstandard.compress)
       | st.sampled_from(CLASSICS).map(zstandard.compress))  # fmt: skip
def test_capsules(tmp_path_factory: Any, file: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "capsule"
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_bytes(file)
    only(UsageError, lambda: list(read_capsule(folder)))
