"""What a container log tree says, read the slow and obvious way.

Shares nothing with the pipeline: no import from it, one line at a time, no chunks, no columns.
"""

import gzip
import re
from collections import Counter
from datetime import datetime
from pathlib import Path

Line = tuple[str, str, int, str, int, bytes]  # uid, container, restart, stream, ns, body


def time_ns(text: str) -> int:
    """RFC 3339 with 0 to 9 fraction digits and any offset, as Unix nanoseconds."""
    match = re.fullmatch(r"(.{19})(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", text)
    assert match, text
    zone = match[3].replace("Z", "+00:00")
    seconds = int(datetime.fromisoformat(match[1] + zone).timestamp())
    return seconds * 10**9 + int((match[2] or "0").ljust(9, "0"))


def raw(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def lines_of(data: bytes) -> list[tuple[str, int, bytes]]:
    """(stream, ns, body) of every line a process printed; parts P … F put together per stream.
    A line whose last part never came ends with the file."""
    done: list[tuple[str, int, bytes]] = []
    parts: dict[str, tuple[int, bytes]] = {}
    for line in data.split(b"\n"):
        if not line:
            continue
        when, stream, tags, body = line.split(b" ", 3)
        name = stream.decode()
        start, before = parts.pop(name, (time_ns(when.decode()), b""))
        if tags.split(b":")[0] == b"P":
            parts[name] = (start, before + body)
        else:
            done.append((name, start, before + body))
    done += [(name, start, body) for name, (start, body) in parts.items()]
    return done


def read_tree(root: Path) -> Counter[Line]:
    """Every line below `root` (layout NAMESPACE_POD_UID/CONTAINER/N.log…), with its count."""
    found: Counter[Line] = Counter()
    for path in sorted(root.glob("*/*/*")):
        match = re.fullmatch(r"(\d+)\.log(\.\d{8}-\d{6})?(\.gz)?", path.name)
        if not match:
            continue
        uid = path.parts[-3].rsplit("_", 1)[1]
        for stream, when, body in lines_of(raw(path)):
            found[uid, path.parts[-2], int(match[1]), stream, when, body] += 1
    return found


def raw_bytes(root: Path) -> int:
    return sum(len(raw(p)) for p in root.glob("*/*/*") if re.match(r"\d+\.log", p.name))
