"""Words of ClickHouse's native format that both ends need: the door and the embedded endpoint."""

CUSTOM_SERIALIZATION = 54454  # from this revision on, a byte follows each column's type
# is_overflows = 0, bucket_num = -1, end of fields
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def string(text: str | bytes) -> bytes:
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return varint(len(data)) + data
