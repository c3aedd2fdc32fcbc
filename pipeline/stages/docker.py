"""Docker json-file lines -> columns: `{"log":"text\\n","stream":"stdout","time":"..."}`.

Docker splits lines above 16 KiB into several objects; only the last one's `log` ends in a
newline, and nothing else says so. The content is unescaped, so it lives in a buffer of its own.
A line that is not such an object keeps its bytes and becomes a RAW line.
"""

import numpy as np

from pipeline.contract.documents import read_json
from pipeline.stages.lines import STDERR, STDOUT, Parsed, Text, raw_lines
from pipeline.stages.timestamps import parse_rfc3339

_STREAMS = {"stdout": STDOUT, "stderr": STDERR}


def parse_docker(text: Text) -> Parsed:
    """All lines, one JSON object each."""
    parsed = raw_lines(text)
    contents: list[bytes] = []
    pairs = zip(text.starts.tolist(), text.ends.tolist(), strict=True)
    for i, (start, end) in enumerate(pairs):
        line = text.buffer[start:end]
        entry = _entry(line)
        if entry is None:
            contents.append(line)
            continue
        content, parsed.stream[i], parsed.ts[i] = entry
        parsed.more[i] = not content.endswith(b"\n")
        contents.append(content.removesuffix(b"\n"))
    parsed.text = b"".join(contents)
    parsed.end = np.cumsum([len(content) for content in contents], dtype=np.int64)
    parsed.begin = np.concatenate((np.zeros(1, np.int64), parsed.end[:-1]))
    return parsed


def _entry(line: bytes) -> tuple[bytes, int, int] | None:
    try:
        document = read_json(line)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    log, time = document.get("log"), document.get("time")
    stream = _STREAMS.get(str(document.get("stream")))
    if not isinstance(log, str) or not isinstance(time, str) or stream is None:
        return None
    ts = parse_rfc3339(time.encode("utf-8", "surrogatepass"))
    if ts is None:
        return None
    return log.encode("utf-8", "surrogatepass"), stream, ts
