"""What decoders are fed with: real documents, bent; JSON of any shape; and the classics."""

import json
import os
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

# The same examples each time, so that a build fails for what was changed. FUZZ=50 looks further: so
# many times as many, and others each time.
FURTHER = int(os.environ.get("FUZZ", "1"))
DEEP = 20_000  # more than any recursion limit
MIB = 1 << 20

# The classics of JSON.
CLASSICS = [
    b"", b"null", b"[]", b"{}", b'""', b"0", b"NaN", b"-Infinity", b"1e999", b'"\\ud800"',
    b"\xff\xfe", b"\xef\xbb\xbf{}", b"9" * 5000, b'{"a":' + b"9" * 5000 + b"}",
    b"[" * DEEP, b'{"a":' * DEEP, b"[" * DEEP + b"]" * DEEP,
    b"[" * 250 + b"]" * 250, b"[" * 1000 + b"]" * 1000,  # about the limits of writers and readers
]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\udcff", "9" * 400, "-1", "", "0x", "1e309", "2026-13-41T99:99:99Z"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def examples(count: int) -> settings:
    return settings(max_examples=count * FURTHER, derandomize=FURTHER == 1)


def bent(samples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A sample with a piece replaced, taken out, doubled, or cut off: bytes in their places are
    what gets past the first check."""

    @st.composite
    def make(draw: st.DrawFn) -> bytes:
        data = draw(st.sampled_from(samples))
        for _ in range(draw(st.integers(0, 3))):
            start = draw(st.integers(0, len(data)))
            stop = min(len(data), start + draw(st.integers(0, 12)))
            piece = draw(
                st.sampled_from([b"", data[start:stop] * 2, b"\0", b"\xff" * 9, b"\n", b'"', b"{"])
                | st.binary(max_size=12)
            )
            data = data[:start] + piece + data[stop:]
        return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data

    return make()


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*at, key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from places(value, (*at, number))


def replaced(document: Any, at: Sequence[Any], value: Any) -> Any:
    if not at:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[at[0]] = replaced(copy[at[0]], at[1:], value)
    return copy


def mistyped(documents: Sequence[Any]) -> st.SearchStrategy[Any]:
    """A document in which one or two values are something else."""

    @st.composite
    def make(draw: st.DrawFn) -> Any:
        document = draw(st.sampled_from(documents))
        for _ in range(draw(st.integers(1, 2))):
            at = draw(st.sampled_from(list(places(document))))
            document = replaced(document, at, draw(values))
        return document

    return make()


def written(documents: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """As JSON, with what Python's writer allows: NaN, half surrogates."""
    return documents.map(lambda found: json.dumps(found).encode())


def only(error: type[BaseException], read: Callable[[], Any]) -> bool:
    """Did it give a value? Anything else than the declared error is a crash, and raised."""
    try:
        read()
    except error:
        return False
    return True


@contextmanager
def within(most: int) -> Iterator[None]:
    """No more memory than this at any time, whatever was announced."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= most, f"{peak / MIB:.1f} MiB at the peak"
