"""Log lines as containers write them: access log, JSON, klog, stack traces, a few long lines.

About 210 bytes a line on disk with the runtime's header. Every line of the pool has random parts
of its own (ids, times, paths) and the pool is larger than the window of any compressor that sees
it (zstd-1, blocks of the table), so repeating it is not seen. Reproducible by seed.
"""

from collections.abc import Iterator

import numpy as np

_WORDS = (
    b"order cart payment session token cache shard replica queue worker request index customer "
    b"invoice balance retry upstream timeout flush commit lease election snapshot segment"
).split()
POOL = 20_000  # lines, about 4 MB
LONG_EVERY = 10_000  # lines per line of 20 to 60 KB
PART = 16_384  # the runtime splits a line there


def pool(seed: int, count: int = POOL) -> list[bytes]:
    """About `count` line contents; the lines of a stack trace stay together."""
    random = np.random.default_rng(seed)
    kinds = random.random(count)
    numbers = random.integers(0, 1 << 30, (count, 6)).tolist()
    out: list[bytes] = []
    for kind, row in zip(kinds.tolist(), numbers, strict=True):
        if kind < 0.56:
            out.append(_access(*row))
        elif kind < 0.83:
            out.append(_document(*row))
        elif kind < 0.992:
            out.append(_klog(*row))
        else:
            out += _trace(*row)
    for place in range(LONG_EVERY // 2, len(out), LONG_EVERY):
        letters = random.integers(97, 123, random.integers(20_000, 60_000))
        out[place] += b" " + letters.astype(np.uint8).tobytes()
    return out


def _word(number: int) -> bytes:
    return _WORDS[number % len(_WORDS)]


_METHODS = (b"GET", b"GET", b"GET", b"POST", b"PUT")
_CODES = (200, 200, 200, 200, 201, 204, 304, 404, 500)
_LEVELS = (b"info", b"info", b"info", b"debug", b"warn", b"error")


def _access(a: int, b: int, c: int, d: int, e: int, f: int) -> bytes:
    return (
        b'10.12.%d.%d - - "%s /api/v%d/%s/%d?page=%d HTTP/1.1" %d %d "https://shop.example/%s" '
        b'"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)" 0.%03d %08x'
    ) % (
        a & 7, a >> 8 & 255, _METHODS[a % 5], b % 3 + 1, _word(b >> 8), c % 10_000, d & 15,
        _CODES[b % 9], c % 50_000, _word(f), d % 1000, e,
    )  # fmt: skip


def _document(a: int, b: int, c: int, d: int, e: int, f: int) -> bytes:
    return (
        b'{"level":"%s","logger":"com.example.%s","trace_id":"%08x%08x%08x%08x",'
        b'"msg":"%s %s %s for %s","user":"u%d","duration_ms":%d,"ok":true}'
    ) % (
        _LEVELS[a % 6], _word(a >> 8), b, c, d, e,
        _word(b), _word(c), _word(d), _word(e), a % 5000, f % 5000,
    )  # fmt: skip


def _klog(a: int, b: int, c: int, d: int, e: int, f: int) -> bytes:
    return (
        b'I1123 %02d:%02d:%02d.%06d       1 %s.go:%d] "%s %s failed, will retry" '
        b'%s="shop/%s-%x" reason="%s" attempt=%d'
    ) % (
        a % 24, a % 60, b % 60, c % 1_000_000, _word(a >> 6), b % 900,
        _word(b >> 6), _word(c), _word(d), _word(e), f & 0xFFFFF, _word(f), d % 9,
    )  # fmt: skip


def _trace(a: int, b: int, c: int, d: int, e: int, f: int) -> Iterator[bytes]:
    yield b"ERROR java.lang.IllegalStateException: %s %s %x" % (_word(a), _word(b), c)
    for step in range(6 + a % 8):
        number = (b * (step + 3) + c) & 0xFFFFFF
        name = _word(number)
        yield b"\tat com.example.%s.%s(%s.java:%d)" % (
            name, _word(number >> 5), name.title(), (d + e + f + number) % 900,
        )  # fmt: skip


def cri(body: bytes) -> list[bytes]:
    """What the runtime writes of a line behind its times: one piece, or the parts of a long
    one."""
    stream = b"stderr" if body.startswith((b"ERROR", b"\tat")) else b"stdout"
    if len(body) <= PART:
        return [b" %s F %s\n" % (stream, body)]
    parts = [body[at : at + PART] for at in range(0, len(body), PART)]
    heads = [b"P"] * (len(parts) - 1) + [b"F"]
    return [b" %s %s %s\n" % (stream, tag, part) for tag, part in zip(heads, parts, strict=True)]


def runtime_pool(seed: int) -> list[bytes]:
    """The pool as it follows the times on disk."""
    return [piece for body in pool(seed) for piece in cri(body)]
