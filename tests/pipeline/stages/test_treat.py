"""Secrets, shares and fields, stage by stage."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contract.record import VOLUME, Source
from pipeline.logconfig.claims import Claim, Rank
from pipeline.logconfig.complaints import BadSettings
from pipeline.logconfig.patterns import compiled
from pipeline.logconfig.reading import settings
from pipeline.logconfig.spec import Limit, Parse
from pipeline.stages.fields import parser_of
from pipeline.stages.matching import matching
from pipeline.stages.redact import Redactor, luhn
from pipeline.stages.rows import Origins, PodView, RowList
from pipeline.stages.shed import Limiter, chances
from pipeline.stages.treat import treat
from pipeline.stages.treatment import ERRORS, treatment

# Not one of these is a real credential: repeated letters, published examples, test numbers.
AWS = b"AKIA" + b"IOSFODNN7EXAMPLE"
JWT = b".".join((b"eyJhbGciOiJIUzI1NiJ9", b"eyJzdWIiOiIxMjM0In0", b"abc_DEF-123"))


def redactor(**wish: object) -> Redactor:
    found = settings(redact=wish).redact
    assert found is not None
    return Redactor(found)


ALL = redactor(presets=["cloud-keys", "jwt", "cards", "email"])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"key " + AWS + b" used", b"key [redacted:cloud-keys] used"),
        (b"id LTAI" + b"x" * 20, b"id [redacted:cloud-keys]"),
        (b'aws_secret_access_key="' + b"a" * 40 + b'"', b'aws_[redacted:cloud-keys]"'),
        (b"token ghp_" + b"z" * 36, b"token [redacted:cloud-keys]"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
         b"[redacted:cloud-keys]"),
        (b"Bearer " + JWT, b"Bearer [redacted:jwt]"),
        (b"paid 4111 1111 1111 1111 today", b"paid [redacted:cards] today"),
        (b"paid 4111-1111-1111-1112 today", b"paid 4111-1111-1111-1112 today"),
        (b"at 1795412000000 ms", b"at 1795412000000 ms"),
        ("写信给 a.b+c@例.example.com".encode(), "写信给 a.b+c@例.example.com".encode()),
        ("写信给 a.b+c@mail.example.com 谢谢".encode(), "写信给 [redacted:email] 谢谢".encode()),
        (b"\xff\xfe a@b.cd \xff", b"\xff\xfe [redacted:email] \xff"),
        (b"", b""),
    ],
)  # fmt: skip
def test_presets(body: bytes, expected: bytes) -> None:
    assert ALL.apply([body], Counter()) == [expected]
    around = [b"before", body, b"", b"after"]
    assert ALL.apply(around, Counter()) == [b"before", expected, b"", b"after"]


@given(st.lists(st.sampled_from([b"a1", b"^x", b"key=12", b"k\ney=3", b"", b"=", b"\xff9", b"4"])))
def test_many_bodies_are_treated_as_each_alone(bodies: list[bytes]) -> None:
    patterns = [
        {"name": "digits", "pattern": r"\d+"},
        {"name": "across", "pattern": r"y[^k]*\w"},
        {"name": "head", "pattern": "^k", "replacement": "K"},
    ]
    wish = redactor(patterns=patterns)
    alone: Counter[str] = Counter()
    together: Counter[str] = Counter()
    expected = [wish.apply([body], alone)[0] for body in bodies]
    assert wish.apply(bodies, together) == expected
    assert together == alone


@pytest.mark.parametrize(
    ("pattern", "body", "expected"),
    [
        ("订单[号码]+\\d*", "新订单号码12 完".encode(), "新[redacted:p] 完".encode()),
        ("[一-龥]{2}", "ab支付cd".encode(), b"ab[redacted:p]cd"),
        (r"\p{Han}+", "ab支付cd".encode(), b"ab[redacted:p]cd"),
        (r"pw=\S+", b"pw=a\xff\xfeb c", b"[redacted:p] c"),
    ],
)
def test_patterns_of_characters_and_of_bytes(pattern: str, body: bytes, expected: bytes) -> None:
    wish = redactor(patterns=[{"name": "p", "pattern": pattern}])
    assert wish.apply([b"x", body, b"y"], Counter()) == [b"x", expected, b"y"]


@given(
    st.sampled_from(
        [
            "b",
            "^a",
            "a$",
            "(?m)^a",
            "(?im)A$",
            "(?s)a.*b",
            r"\bb\b",
            "b*",
            "a[^b]",
            r"\[^a",
            r"[^a]b[^c]*",
            r"\Aa",
            "ab|c",
        ]
    ),
    st.lists(st.text("abc\n ", max_size=5).map(str.encode), max_size=8),
)
def test_searching_all_finds_what_searching_each_finds(pattern: str, bodies: list[bytes]) -> None:
    one = compiled(pattern)
    expected = [one.search(body) is not None for body in bodies]
    assert matching([one], bodies).tolist() == expected


def test_a_replacement_may_keep_a_group() -> None:
    wish = redactor(patterns=[{"name": "p", "pattern": "(pw=)\\S+", "replacement": "\\1***"}])
    counts: Counter[str] = Counter()
    assert wish.apply([b"pw=abc x", b"no"], counts) == [b"pw=*** x", b"no"]
    assert counts == {"p": 1}


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [("pw", "\\1"), ("(pw)", "\\2"), ("pw", "\\g<x>"), ("pw", "\\"), ("pw", "\\x")],
)
def test_a_replacement_that_the_pattern_has_no_group_for_is_refused(
    pattern: str, replacement: str
) -> None:
    with pytest.raises(BadSettings, match="not a replacement for the pattern"):
        redactor(patterns=[{"name": "p", "pattern": pattern, "replacement": replacement}])


def test_a_name_is_no_template() -> None:
    wish = redactor(patterns=[{"name": "a\\1", "pattern": "pw"}])
    assert wish.apply([b"pw"], Counter()) == [b"[redacted:a\\1]"]


@pytest.mark.parametrize(
    ("body", "spared"),
    [
        (b"level=warn x", True),
        (b"E1123 05:51:17.076067 16481 generic.go:455] x", True),
        (b"java.lang.NullPointerException: x", True),
        (b"ValueError: invalid literal", True),
        ("支付失败 OutOfMemoryError".encode(), True),
        (b"errno=0, no mirror, 12 errors_total", False),
        (b"exceptional", False),
    ],
)
def test_lines_that_speak_of_errors(body: bytes, spared: bool) -> None:
    assert matching([ERRORS], [b"x", body, b"y"]).tolist() == [False, spared, False]


def test_luhn() -> None:
    assert luhn([4, 5, 3, 9, 1, 4, 8, 8, 0, 3, 4, 3, 6, 4, 6, 7])
    assert not luhn([8, 2, 7, 3, 1, 2, 3, 2, 7, 3, 5, 2, 0, 5, 6, 9])


def test_chances_are_even_and_depend_on_the_place_alone() -> None:
    offsets = np.arange(0, 100_000 * 137, 137, dtype=np.int64)
    found = chances(0xDEADBEEF12345678, offsets)
    assert abs(float(found.mean()) - 0.5) < 0.01
    counts, _ = np.histogram(found, 20, (0, 1))
    assert counts.min() > 4500
    assert (chances(0xDEADBEEF12345678, offsets[::-1])[::-1] == found).all()
    assert (chances(1, offsets) != found).mean() > 0.99


def test_a_bucket_fills_with_the_lines_time() -> None:
    limiter, limit = Limiter(), Limit(bytes_per_second=100, burst_bytes=300)
    main, side = ("uid-1", "main", ""), ("uid-1", "side", "")
    second = 1_000_000_000
    at = np.array([0], np.int64)
    assert limiter.allow(main, limit, at, 250) == 250
    assert limiter.allow(main, limit, at, 250) == 50
    assert limiter.allow(main, limit, at + second, 250) == 100
    assert limiter.allow(side, limit, at, 1000) == 300
    backlog = np.array([2 * second, 32 * second], np.int64)
    assert limiter.allow(main, limit, backlog, 10_000) == 3000


@pytest.mark.parametrize(
    ("wish", "body", "expected"),
    [
        (Parse(format="nginx"),
         b'10.0.0.1 - bob [26/Nov/2026:02:00:00 +0000] "GET /a?b=1 HTTP/1.1" 404 5 "-" "curl/8"',
         {"remote_addr": "10.0.0.1", "remote_user": "bob", "method": "GET", "path": "/a?b=1",
          "protocol": "HTTP/1.1", "status": "404", "body_bytes_sent": "5",
          "time_local": "26/Nov/2026:02:00:00 +0000", "http_user_agent": "curl/8"}),
        (Parse(format="nginx"), b"2026/11/26 [error] 7#7: connect() failed", None),
        (Parse(format="klog"),
         b'E1123 05:51:17.076067   16481 generic.go:455] "Sync failed" err="x" pod="a/b"',
         {"level": "error", "msg": "Sync failed", "err": "x", "pod": "a/b"}),
        (Parse(format="klog"), b"Error: nothing of klog", None),
        (Parse(format="klog"), b"Error: nothing of klog \xff", None),
        (Parse(format="klog"), b"Warning: " + b"x" * 20_000, None),
        (Parse(format="klog"), b"I1123 05:51:17.076067       1 main.go:8] up \xff",
         {"level": "info", "msg": "up \ufffd"}),
        (Parse(format="json"), b'{"a":1}', {}),
        (Parse(format="json"), b"plain", None),
        (Parse(format="regex", pattern=r"(?P<n>\d+)|(?P<w>x)"), b"12", {"n": "12"}),
    ],
)  # fmt: skip
def test_formats(wish: Parse, body: bytes, expected: dict[str, str] | None) -> None:
    parse = parser_of(wish)
    assert parse is not None
    found = parse(body)
    assert (dict(found) if found is not None else None) == expected


def test_a_line_of_many_fields_keeps_those_that_every_line_gets() -> None:
    pattern = "".join(f"(?P<f{n}>.)" for n in range(40))
    wish = settings(parse={"format": "regex", "pattern": pattern}, attributes={"team": "支付"})
    made = treatment([Claim(Rank.LOG_CONFIG, "LogConfig shop/web", wish)], [])
    rows, origins = RowList(), Origins()
    origin = origins.index(
        1, Source("", "shop", "web-0", "u", "web", 0, ""), PodView(treatment=made)
    )
    rows.fixed.append((0, 1, 0, 0, 41, 0, 0, origin))
    rows.bodies.append(b"x" * 40)
    found = treat(rows.take(), origins, Limiter()).rows.fields
    assert found is not None
    stored = json.loads(found[0])
    assert stored["team"] == "支付"
    assert len(stored) == 32


@pytest.mark.parametrize(
    ("paths", "stored"),
    [
        (["/var/log/pods/x/web/0.log", "/var/log/pods/x/web/0.log.20261127", "1.log"], 300),
        ([f"{VOLUME}/var/log/a.log", f"{VOLUME}/var/log/b.log", "0.log"], 900),
    ],
)
def test_a_rotation_gives_no_further_burst(paths: list[str], stored: int) -> None:
    wish = settings(limit={"bytesPerSecond": 1, "burstBytes": 300})
    made = treatment([Claim(Rank.LOG_CONFIG, "LogConfig shop/web", wish)], [])
    rows, origins = RowList(), Origins()
    for number, path in enumerate(paths):
        source = Source("", "shop", "web-0", "u", "web", 0, path)
        origin = origins.index(number, source, PodView(treatment=made))
        for line in range(3000):
            rows.fixed.append((0, 1, 0, line, 1, 0, 0, origin))
            rows.bodies.append(b"")
    kept = treat(rows.take(), origins, Limiter()).rows
    assert stored * 0.8 < len(kept) < stored * 1.2
