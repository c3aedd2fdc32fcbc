import pytest

from pipeline.contract.documents import read_json, read_record
from pipeline.contract.fields import RecordError


def test_every_kind_of_bad_json_is_one_kind_of_error() -> None:
    assert read_json(b'{"a": [1]}') == {"a": [1]}
    for text in (b"", b"{", b"\xff", b"[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ValueError, match=r"."):
            read_json(text)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json("[" * 100_000)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"{", "a thing is not JSON"),
        (b"[" * 100_000, "a thing is not JSON: it is nested too deeply"),
        (b"[]", "a thing format 'list' is not known"),
        (b"{}", "a thing format None is not known"),
        (b'{"v": 9}', "a thing format 9 is not known"),
    ],
)
def test_what_is_no_record_of_this_format_is_named(value: bytes, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        read_record(value, "a thing")
