"""Records survive the trip, and everything that is not one is refused with the field's name."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contract import record as r

EXAMPLES = sorted((Path(r.__file__).parent / "examples").glob("*.json"))
TEXT = st.text(max_size=40)
NUMBER = st.integers(min_value=0, max_value=2**63)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_of_every_version_decode(path: Path) -> None:
    example = json.loads(path.read_text())
    headers = [(name, value.encode()) for name, value in example.get("headers", [])]
    if example["topic"] == "kubeledger.pods":
        pod = r.decode_pod(example["value"].encode())
        assert pod.workload == "Deployment/web"
        assert r.encode_pod(pod).decode() == example["value"]
    elif example["topic"] == "kubeledger.dead":
        letter = r.decode_dead(headers)
        assert list(r.encode_dead(letter)) == headers
        assert r.decode_headers(letter.headers).kind == "chunk"
    else:
        event = r.decode_headers(headers)
        assert list(r.encode_headers(event)) == headers
        assert event.source.key.decode() == example["key"]


def test_what_is_no_utf8_becomes_text() -> None:
    example = json.loads(next(path for path in EXAMPLES if path.stem.startswith("end")).read_text())
    headers = {name: value.encode() for name, value in example["headers"]}
    event = r.decode_headers({**headers, "path": b"/var/\xff\xe4\xb8\xad.log"}.items())
    assert event.source.path == r"/var/\xff" + "中.log"
    assert r.decode_headers(r.encode_headers(event)) == event


def test_every_kind_has_an_example() -> None:
    names = {path.name.split(".")[0] for path in EXAMPLES}
    assert names == {"open", "chunk", "gap", "end", "pod", "dead"}


sources = st.builds(r.Source, TEXT, TEXT, TEXT, TEXT, TEXT, NUMBER, TEXT)
chunks = st.builds(
    r.Chunk, sources, st.integers(0, 2**64 - 1), st.just("chunk"), NUMBER, NUMBER, NUMBER,
    st.sampled_from(r.FORMATS), st.sampled_from(("zstd", "none")), NUMBER, NUMBER, NUMBER,
    TEXT, TEXT, NUMBER, TEXT,
)  # fmt: skip


@given(chunks)
def test_chunk_round_trip(chunk: r.Chunk) -> None:
    assert r.decode_headers(r.encode_headers(chunk)) == chunk


@given(st.dictionaries(st.sampled_from(["v", "kind", "file", "node", "offset", "raw", "crc32c"]),
                       st.binary(max_size=20)))  # fmt: skip
def test_foreign_headers_raise_record_error_only(headers: dict[str, bytes]) -> None:
    with pytest.raises(r.RecordError):
        r.decode_headers(headers.items())


@given(st.binary(max_size=60) | st.just(b'{"v":1,"uid":1,"labels":[]}') | st.just(b"[]"))
def test_foreign_pod_versions_raise_record_error_only(value: bytes) -> None:
    with pytest.raises(r.RecordError):
        r.decode_pod(value)


def _example(name: str) -> list[tuple[str, bytes]]:
    path = next(p for p in EXAMPLES if p.name.startswith(name))
    return [(k, v.encode()) for k, v in json.loads(path.read_text())["headers"]]


@pytest.mark.parametrize(
    ("header", "value", "message"),
    [
        ("v", b"2", "version '2' is not known"),
        ("kind", b"chunks", "`kind` is 'chunks'"),
        ("file", b"xyz", "`file` is not a number"),
        ("file", b"f" * 17, "wider than 64 bits"),
        ("offset", b"-1", "`offset` is negative"),
        ("codec", b"lz4", "`codec` is 'lz4', not one of zstd, none"),
        ("format", b"", "`format`"),
    ],
)
def test_message_names_the_field(header: str, value: bytes, message: str) -> None:
    headers = [(k, value if k == header else v) for k, v in _example("chunk")]
    with pytest.raises(r.RecordError, match=message):
        r.decode_headers(headers)


@pytest.mark.parametrize("name", [name for name, _ in _example("chunk")])
def test_missing_header_is_named(name: str) -> None:
    with pytest.raises(r.RecordError, match=f"`{name}` is missing"):
        r.decode_headers([(k, v) for k, v in _example("chunk") if k != name])


def test_gap_cannot_end_before_it_starts() -> None:
    event = r.decode_headers(_example("gap"))
    assert isinstance(event, r.Gap)
    with pytest.raises(r.RecordError, match="before it starts"):
        r.decode_headers(r.encode_headers(replace(event, stop=event.start - 1)))


def test_key_keeps_a_pods_files_together_and_host_files_apart() -> None:
    pod = r.Source("n", "shop", "web-1", "uid-1", "a", 0, "/x")
    assert pod.key == replace(pod, container="b", path="/y").key == b"uid-1"
    host = r.Source("n", "", "", "", "messages", 0, "/var/log/messages")
    assert host.key == b"n:/var/log/messages"
