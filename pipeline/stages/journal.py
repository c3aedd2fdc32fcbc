"""Journal lines -> columns: what the collector makes of entries of journald and of the kernel's
log (pipeline/contract/record.py). The body is the message, the time is the entry's.

The message is unescaped, so it lives in a buffer of its own. A line that is not such an object
keeps its bytes and becomes a RAW line.
"""

import numpy as np

from pipeline.contract.documents import read_json
from pipeline.stages.lines import STDOUT, Parsed, Text, raw_lines

_DEBUG, _INFO, _WARN, _ERROR, _FATAL = 1, 2, 3, 4, 5  # indices into the contract's LEVELS
# syslog(3): emerg, alert, crit, err, warning, notice, info, debug
_LEVEL = (_FATAL, _FATAL, _FATAL, _ERROR, _WARN, _INFO, _INFO, _DEBUG)


def parse_journal(text: Text) -> Parsed:
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
        content, parsed.ts[i], parsed.level[i], parsed.more[i] = entry
        parsed.stream[i] = STDOUT
        contents.append(content)
    parsed.text = b"".join(contents)
    parsed.end = np.cumsum([len(content) for content in contents], dtype=np.int64)
    parsed.begin = np.concatenate((np.zeros(1, np.int64), parsed.end[:-1]))
    return parsed


def _entry(line: bytes) -> tuple[bytes, int, int, bool] | None:
    """Message, Unix ns, level, does it go on."""
    try:
        document = read_json(line)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    message, ts, priority = document.get("msg"), document.get("ts"), document.get("p")
    if not isinstance(message, str) or type(ts) is not int or not 0 <= ts < 1 << 63:
        return None
    level = _LEVEL[priority] if type(priority) is int and 0 <= priority < len(_LEVEL) else 0
    try:
        content = message.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        content = message.encode("utf-8", "surrogatepass")
    return content, ts, level, bool(document.get("more"))
