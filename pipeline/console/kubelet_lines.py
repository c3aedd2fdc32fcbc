"""What the programs in the written containers print: one endless generator per kind.

Every line, also every line of a stack trace, carries its own sequence number, 1, 2, 3 … per
(pod, container), as `seq=N` or `"seq":N`; SEQUENCE finds it. Generators are deterministic by
their `random.Random`; the time inside a line comes from the `Moment` that the writer moves.
"""

import time
from collections.abc import Callable, Iterator
from random import Random

STDOUT, STDERR = b"stdout", b"stderr"
SEQUENCE = r'seq"?[=:](\d+)'  # RE2 and Python alike

Lines = Iterator[tuple[bytes, bytes]]  # (stream, line without newline)

_FILLER = 1 << 16
_RING = 1024  # texts rendered beforehand, of which a line takes some
_MASK = _RING - 1


class Moment:
    """The writer's wall clock, formatted once a second for all lines of that second."""

    def __init__(self) -> None:
        self.second = -1
        self.iso = self.access = self.klog = self.log4j = b""

    def move(self, second: int) -> None:
        if second == self.second:
            return
        self.second = second
        parts = time.gmtime(second)
        self.iso = time.strftime("%Y-%m-%dT%H:%M:%S", parts).encode()
        self.access = time.strftime("%d/%b/%Y:%H:%M:%S +0000", parts).encode()
        self.klog = time.strftime("%m%d %H:%M:%S", parts).encode()
        self.log4j = time.strftime("%Y-%m-%d %H:%M:%S", parts).encode()


def access(rng: Random, moment: Moment) -> Lines:
    """A web server in nginx's combined format, its error log on stderr."""
    paths = ["/", "/api/v1/orders", "/api/v1/orders/%d", "/static/app.js", "/login"]
    agents = ["Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", "kube-probe/1.34"]
    heads = [b"10.0.%d.%d - - [" % (i * 7 % 256, i % 256) for i in range(_RING)]
    tails = []
    for _ in range(_RING):
        path = rng.choice(paths).replace("%d", str(rng.randrange(100_000)))
        status, size = rng.choice((200, 200, 200, 304, 404, 500)), rng.randrange(60_000)
        tail = f'] "GET {path} HTTP/1.1" {status} {size} "-" "{rng.choice(agents)}" rt=0.'
        tails.append(tail.encode())
    bits = rng.getrandbits
    seq = 0
    while True:
        seq += 1
        dice = bits(30)
        if dice % 97:
            text = b"%b%b%b%03d id=%08x seq=%d"
            head, tail_ = heads[dice & _MASK], tails[dice >> 10 & _MASK]
            yield STDOUT, text % (head, moment.access, tail_, dice >> 21, dice, seq)
            continue
        yield (
            STDERR,
            b"%b [error] 7#7: *%d upstream timed out (110: Connection timed out) while "
            b"reading response header, client: 10.0.0.%d seq=%d"
            % (moment.log4j.replace(b"-", b"/"), dice, dice & 255, seq),
        )


def structured(rng: Random, moment: Moment) -> Lines:
    """A service that prints one JSON object a line."""
    levels = ["info"] * 14 + ["warn", "error"]
    messages = ["order placed", "payment accepted", "cache miss", "retrying upstream"]
    middles = []
    for _ in range(_RING):
        user, took = rng.randrange(20_000), rng.randrange(1000)
        middle = (
            f'Z","level":"{rng.choice(levels)}","msg":"{rng.choice(messages)}",'
            f'"user":"u{user}","duration_ms":{took},"trace_id":"'
        )
        middles.append(middle.encode())
    bits = rng.getrandbits
    seq = 0
    while True:
        seq += 1
        dice = bits(128)
        text = b'{"time":"%b.%03d%b%032x","seq":%d}'
        yield STDOUT, text % (moment.iso, dice % 1000, middles[dice >> 20 & _MASK], dice, seq)


def klog(rng: Random, moment: Moment) -> Lines:
    """A controller: klog headers, everything on stderr but its result lines."""
    sources = ["controller.go:249", "reflector.go:561", "leaderelection.go:281"]
    middles = []
    for _ in range(_RING):
        middle = (
            f'       1 {rng.choice(sources)}] "Reconciled" kind="Deployment" '
            f'object="shop/web-{rng.randrange(40)}" duration="{rng.random() * 60:.3f}ms" version='
        )
        middles.append(middle.encode())
    severities = [b"I"] * 29 + [b"W", b"W", b"E"]
    bits = rng.getrandbits
    seq = 0
    while True:
        seq += 1
        dice = bits(30)
        if dice % 53:
            text = b"%b%b.%06d%b%d seq=%d"
            head, middle_ = severities[dice & 31], middles[dice >> 5 & _MASK]
            yield STDERR, text % (head, moment.klog, dice % 1_000_000, middle_, dice, seq)
        else:
            yield STDOUT, b"synced objects=%d seq=%d" % (dice & 4095, seq)


def java(rng: Random, moment: Moment) -> Lines:
    """A JVM service: plain lines, and now and then an exception with its stack and cause."""
    classes = [b"OrderService", b"PaymentClient", b"StockRepository", b"HttpDispatcher"]
    bits = rng.getrandbits
    seq = 0
    while True:
        dice = bits(30)
        seq += 1
        name = classes[dice & 3]
        if dice % 12:
            text = b"%b,%03d INFO  [exec-4] com.example.shop.%b - handled order %d seq=%d"
            yield STDOUT, text % (moment.log4j, dice % 1000, name, dice, seq)
            continue
        text = b"%b,%03d ERROR [exec-4] com.example.shop.%b - order %d failed seq=%d"
        yield STDOUT, text % (moment.log4j, dice % 1000, name, dice, seq)
        for depth in range(4 + (dice >> 5) % 16):
            seq += 1
            yield STDOUT, _frame(depth, classes[(dice >> depth) & 3], seq)
        seq += 1
        yield STDOUT, b"Caused by: java.net.SocketTimeoutException: Read timed out seq=%d" % seq
        seq += 1
        yield STDOUT, b"\t... %d more seq=%d" % (dice & 31, seq)


def _frame(depth: int, name: bytes, seq: int) -> bytes:
    if depth == 0:
        return b"java.lang.IllegalStateException: no answer from the bank seq=%d" % seq
    return b"\tat com.example.shop.%b.step%d(%b.java:%d) ~[shop.jar:1.4.2 seq=%d]" % (
        name,
        depth,
        name,
        20 + depth * 7,
        seq,
    )


def long_lines(rng: Random, moment: Moment) -> Lines:
    """Mostly short lines; some of 10 to 70 KiB, which the runtime splits."""
    alphabet = bytes(range(33, 127)).replace(b"=", b"").replace(b'"', b"") * 2
    filler = bytes(rng.choices(alphabet, k=_FILLER))
    seq = 0
    while True:
        seq += 1
        dice = rng.getrandbits(40)
        if dice % 100:
            yield (
                STDERR if dice % 3 == 0 else STDOUT,
                b"%b worker=%d step=%d state=ok seq=%d"
                % (moment.iso, dice >> 6 & 15, dice >> 10, seq),
            )
            continue
        length = 10_000 + (dice >> 8) % 55_000
        start = (dice >> 24) % 500
        yield STDOUT, b"%b dump seq=%d %b" % (moment.iso, seq, filler[start : start + length])


def odd(rng: Random, moment: Moment) -> Lines:
    """What real programs also print: empty text, colours, tabs, bytes that are not UTF-8."""
    texts = [
        b"",
        b"\x1b[31mred\x1b[0m",
        b"tab\there",
        b"\xff\xfe raw \x80",
        b"caf\xc3\xa9",
        b"\x00",
    ]
    seq = 0
    while True:
        seq += 1
        dice = rng.getrandbits(20)
        yield (
            STDERR if dice & 1 else STDOUT,
            b"seq=%d %b %b" % (seq, texts[dice % len(texts)], b"x" * (dice >> 8 & 255)),
        )


KINDS: dict[str, Callable[[Random, Moment], Lines]] = {
    "access": access,
    "json": structured,
    "klog": klog,
    "java": java,
    "long": long_lines,
    "burst": structured,
    "odd": odd,
}
