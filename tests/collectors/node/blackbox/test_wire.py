"""Our few lines of protobuf against the real library."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from collectors.node.blackbox import messages, wire

TYPES = descriptor_pb2.FieldDescriptorProto
INT64, UINT32, BOOL, DOUBLE, FIXED32 = 3, 13, 8, 1, 7


def _library() -> type:
    """One message with everything that the runtime's answers are made of."""
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    message = file.message_type.add(name="M")
    for name, number, kind, repeated in (
        ("text", 1, TYPES.TYPE_STRING, False),
        ("many", 2, TYPES.TYPE_STRING, True),
        ("big", 3, INT64, False),
        ("small", 4, UINT32, False),
        ("flag", 5, BOOL, False),
        ("ratio", 6, DOUBLE, False),
        ("fixed", 7, FIXED32, False),
        ("inner", 18, TYPES.TYPE_MESSAGE, True),
    ):
        label = TYPES.LABEL_REPEATED if repeated else TYPES.LABEL_OPTIONAL
        added = message.field.add(name=name, number=number, type=kind, label=label)
        if kind == TYPES.TYPE_MESSAGE:
            added.type_name = ".t.M"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.M"))


M = _library()


@given(
    text=st.text(),
    many=st.lists(st.text()),
    big=st.integers(-(2**63), 2**63 - 1),
    small=st.integers(0, 2**32 - 1),
    flag=st.booleans(),
    inner=st.lists(st.text(), max_size=4),
)
def test_what_the_library_writes_is_read(
    text: str, many: list[str], big: int, small: int, flag: bool, inner: list[str]
) -> None:
    data = M(
        text=text, many=many, big=big, small=small, flag=flag, ratio=1.5, fixed=7,
        inner=[M(text=t, big=-1) for t in inner],
    ).SerializeToString()  # fmt: skip
    found = wire.fields(data)
    assert wire.text(found, 1) == text
    assert [value.decode() for value in found.get(2, [])] == many  # type: ignore[union-attr]
    assert wire.integer(found, 3) == big
    assert wire.integer(found, 4) == small
    assert bool(wire.integer(found, 5)) is flag
    assert [wire.text(one, 1) for one in wire.messages(found, 18)] == inner
    assert [wire.integer(one, 3) for one in wire.messages(found, 18)] == [-1] * len(inner)
    assert 6 not in found


@given(st.text())
def test_what_is_written_the_library_reads(text: str) -> None:
    assert M.FromString(wire.string(1, text)).text == text  # type: ignore[attr-defined]


@given(st.binary(max_size=200))
def test_nonsense_is_malformed_never_anything_else(data: bytes) -> None:
    for read in (messages.version, messages.conditions, messages.sandboxes, messages.running):
        try:
            read(data)
        except wire.Malformed:
            continue


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\x05abc", b"\x80", b"\xff" * 12, b"\x0f\x01"])
def test_what_is_cut_is_malformed(data: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.fields(data)
