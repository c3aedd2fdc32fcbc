"""The page's server over recorded data: answers, refusals, paging, the tail."""

import http.client
import json
import threading
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest

from pipeline.base.clock import SystemClock
from pipeline.base.errors import Unavailable, UsageError
from pipeline.base.lifecycle import Stop
from pipeline.console.page import loglines
from pipeline.console.page.server import serving
from pipeline.store.clickhouse import open_store
from tests.dashboards.recorded import Recorded

SPAN = {"from": "1795412000000", "to": "1795412290000"}  # of the log tree


@pytest.fixture(scope="module")
def url(recorded: Recorded) -> Iterator[str]:
    stop = Stop()
    opener = lambda: open_store(recorded.config)  # noqa: E731
    with serving("127.0.0.1:0", opener, clock=SystemClock(), stop=stop) as found:
        yield found


def get(url: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body


def ask(url: str, path: str, **query: str) -> dict:
    status, _, body = get(url, f"/api/{path}?{urlencode(query)}")
    assert status == 200, body
    return json.loads(body)


def test_the_page_and_its_files(url: str) -> None:
    for path in ("/", "/d/kubeledger-nodes?from=now-1h", "/static/main.js", "/static/page.css"):
        status, headers, body = get(url, path)
        assert (status, bool(body)) == (200, True)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/etc/passwd", "/static/"):
        assert get(url, path)[0] == 404


@pytest.mark.parametrize("path", ["/", "/api/boards", "/api/tail"])
def test_another_host_is_not_answered(url: str, path: str) -> None:
    assert get(url, path, Host="evil.example:80")[0] == 421


def test_other_pages_may_not_ask(url: str) -> None:
    assert get(url, "/api/boards", **{"Sec-Fetch-Site": "cross-site"})[0] == 403


def test_boards_come_without_their_queries(url: str) -> None:
    boards = ask(url, "boards")["boards"]
    assert [board["uid"] for board in boards][:3] == [
        "kubeledger-fleet", "kubeledger-logs", "kubeledger-nodes",
    ]  # fmt: skip
    assert "SELECT" not in json.dumps(boards)


def test_a_panel(url: str) -> None:
    answer = ask(url, "panel", d="kubeledger-logs", name="1", width="600", **SPAN)
    assert [column["kind"] for column in answer["columns"]] == ["time", "text", "number"]
    assert sum(row[2] for row in answer["rows"]) > 3000
    assert answer["step"] == 60_000  # the roll-up's minute, whatever the width asks for


def test_a_value_of_a_variable_is_no_sql(url: str) -> None:
    evil = "x') OR 1=1 --"
    query = {"d": "kubeledger-logs", "name": "1", "var-namespace": evil, **SPAN}
    assert ask(url, "panel", **query)["rows"] == []


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("panel", {"d": "nobody", "name": "1", **SPAN}, "there is no dashboard 'nobody'"),
        ("panel", {"d": "kubeledger-logs", "name": "99", **SPAN}, "has no panel '99'"),
        ("panel", {"d": "kubeledger-logs", "name": "1", "from": "x", "to": "1"}, "whole number"),
        ("panel", {"d": "kubeledger-logs", "name": "1", "from": "9", "to": "1"}, "the smaller one"),
        ("logs", {**SPAN, "cursor": "'"}, "`cursor`"),
        ("logs", {"from": "-1", "to": "2"}, "`from`"),
        ("around", {"file": "zz", "off": "1"}, "16 hex digits"),
        ("nobody", {}, "there is no /api/nobody"),
    ],
)
def test_what_is_asked_wrongly_says_why(url: str, path: str, query: dict, words: str) -> None:
    status, _, body = get(url, f"/api/{path}?{urlencode(query)}")
    assert status == 400
    assert words in json.loads(body)["error"]


def test_lines_page_by_page_are_all_of_them_once(url: str, recorded: Recorded) -> None:
    seen: list[tuple[str, str]] = []
    times: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        answer = ask(url, "logs", **SPAN, **cursor)
        assert len(answer["lines"]) <= loglines.PAGE
        seen += [(line["file"], line["off"]) for line in answer["lines"]]
        times += [int(line["ts"]) for line in answer["lines"]]
        if answer["next"] is None:
            break
        cursor = {"cursor": answer["next"]}
    (stored,) = recorded.store.query("SELECT count() FROM logs").rows
    assert len(seen) == len(set(seen)) == stored[0]
    assert times == sorted(times, reverse=True)


def test_search_and_menus_narrow(url: str) -> None:
    query = {**SPAN, "var-namespace": "shop", "var-level": "error", "var-search": "UPSTREAM"}
    lines = ask(url, "logs", **query)["lines"]
    assert lines
    assert {(line["level"], line["namespace"]) for line in lines} == {("error", "shop")}
    assert all("upstream" in line["body"].lower() for line in lines)


def test_neighbours_of_a_line_are_of_its_file_in_order(url: str) -> None:
    line = ask(url, "logs", **SPAN, **{"var-search": "order 55 received"})["lines"][0]
    around = ask(url, "around", file=line["file"], off=line["off"])["lines"]
    assert [other["off"] for other in around if other["match"]] == [line["off"]]
    offsets = [int(other["off"]) for other in around]
    assert offsets == sorted(offsets)
    assert len(offsets) > 20


def test_the_tail_says_what_arrives(recorded: Recorded) -> None:
    store, stop = open_store(recorded.config), Stop()
    events = loglines.follow(store, SPAN_QUERY, clock=SystemClock(), stop=stop)
    assert next(events) == {"lines": [], "left_out": 0}
    stop.set()
    assert list(events) == []
    store.close()


SPAN_QUERY = {name: [value] for name, value in SPAN.items()}


def test_more_tails_than_there_are_places_are_refused(url: str) -> None:
    place = urlsplit(url)
    open_ones = []
    for _ in range(8):
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        connection.request("GET", f"/api/tail?{urlencode(SPAN)}")
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.readline().startswith(b"data: ")
        open_ones.append((connection, answer))
    status, _, body = get(url, f"/api/tail?{urlencode(SPAN)}")
    assert (status, b"tails are open" in body) == (503, True)
    for connection, answer in open_ones:
        answer.close()
        connection.close()


def test_a_store_that_is_away_is_said_so() -> None:
    def opener():
        raise Unavailable("the store does not answer")

    with serving("127.0.0.1:0", opener, clock=SystemClock(), stop=Stop()) as url:
        status, _, body = get(url, "/api/span")
    assert (status, json.loads(body)["error"]) == (503, "the store does not answer")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "7300", "127.0.0.1:x"])
def test_where_it_cannot_be_served(address: str) -> None:
    with pytest.raises(UsageError), serving(
        address, lambda: pytest.fail("not asked"), clock=SystemClock(), stop=Stop()
    ):  # fmt: skip
        pass


def test_nothing_is_left_running(recorded: Recorded) -> None:
    before = set(threading.enumerate())
    with serving(
        "127.0.0.1:0", lambda: open_store(recorded.config), clock=SystemClock(), stop=Stop()
    ) as url:
        ask(url, "span")
    left = set(threading.enumerate()) - before  # these may still be ending, on a busy machine
    for thread in left:
        thread.join(60)
    assert not [thread for thread in left if thread.is_alive()]
