"""The HTTP interface, as curl and clickhouse-connect use it."""

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import lz4.frame
import pytest
import urllib3
import zstandard

from tests.pipeline.store.running import Running


class Http:
    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(retries=False, timeout=60)

    def __call__(
        self, method: str, body: Any = None, headers: dict[str, str] | None = None, **words: Any
    ) -> urllib3.BaseHTTPResponse:
        url = f"{self._url}?{urlencode(words)}"
        return self._pool.request(method, url, body=body, headers=headers or {})

    def path(self, path: str) -> urllib3.BaseHTTPResponse:
        return self._pool.request("GET", self._url + path)

    def close(self) -> None:
        self._pool.clear()


@pytest.fixture
def http(running: Running) -> Iterator[Http]:
    client = Http(running.http)
    yield client
    client.close()


def test_ping_and_paths(http: Http) -> None:
    assert http.path("ping").data == b"Ok.\n"
    assert http.path("").data == b"Ok.\n"
    assert http.path("nowhere").status == 404


def test_query_in_url_and_in_body(http: Http) -> None:
    assert http("GET", query="SELECT 1").data == b"1\n"
    assert http("POST", b"SELECT 1").data == b"1\n"
    assert http("POST", b" + 1", query="SELECT 1").data == b"2\n"
    assert http("POST", iter([b"SELECT ", b"'chunked'"])).data == b"chunked\n"


def test_formats(http: Http) -> None:
    sql = "SELECT number AS n FROM numbers(2)"
    assert http("GET", query=f"{sql} FORMAT CSV").data == b"0\n1\n"
    assert http("GET", query=sql, default_format="JSONEachRow").data == b'{"n":0}\n{"n":1}\n'
    answer = http("GET", query=f"{sql} FORMAT JSON")
    assert json.loads(answer.data)["data"] == [{"n": 0}, {"n": 1}]
    assert answer.headers["X-ClickHouse-Format"] == "JSON"
    empty = http("GET", query=f"{sql} WHERE 0", default_format="JSONCompact")
    assert json.loads(empty.data)["meta"] == [{"name": "n", "type": "UInt64"}]


def test_settings_parameters_and_database(http: Http) -> None:
    assert http("GET", query="SELECT getSetting('max_block_size')", max_block_size=9).data == b"9\n"
    assert http("GET", query="SELECT {x:String}", param_x="it's").data == b"it\\'s\n"
    assert http("GET", query="SELECT currentDatabase()", database="system").data == b"system\n"
    unknown = http("GET", query="SELECT 1", no_such_setting=1)
    assert (unknown.status, unknown.headers["X-ClickHouse-Exception-Code"]) == (500, "115")


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELEC 1", 400, "62"),
        ("SELECT * FROM nowhere", 404, "60"),
        ("SELECT file('x')", 403, "497"),
    ],
)
def test_errors(http: Http, sql: str, status: int, code: str) -> None:
    answer = http("POST", sql.encode())
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert answer.data.startswith(f"Code: {code}. DB::Exception: ".encode())


def test_an_error_after_the_first_rows_cuts_the_answer_off(http: Http) -> None:
    with pytest.raises(urllib3.exceptions.HTTPError):
        http("POST", b"SELECT throwIf(number = 400000) FROM numbers(500000)")
    assert http("GET", query="SELECT 1").data == b"1\n"


def test_get_changes_nothing(http: Http) -> None:
    answer = http("GET", query="CREATE TABLE default.x (a UInt8) ENGINE = Memory")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"


def test_inserts(http: Http) -> None:
    http("POST", b"CREATE TABLE h (x UInt64, s String DEFAULT 'd') ENGINE = MergeTree ORDER BY x")
    rows = b'{"x":1,"s":"a"}\n{"x":2}\n'
    assert http("POST", rows, query="INSERT INTO h FORMAT JSONEachRow").status == 200
    assert http("POST", b"(3, 'b'), (4, 'c')", query="INSERT INTO h VALUES").status == 200
    assert http("POST", b"INSERT INTO h (x) FORMAT CSV\n5\n6\n").status == 200
    native = http("GET", query="SELECT toUInt64(7) AS x, 'n' AS s FORMAT Native").data
    written = http("POST", native, query="INSERT INTO h FORMAT Native")
    assert json.loads(written.headers["X-ClickHouse-Summary"])["written_rows"] == "1"
    assert http("POST", b"INSERT INTO h FORMAT Native\n" + native).status == 200
    bad = http("POST", native[:-1], query="INSERT INTO h FORMAT Native")
    assert bad.headers["X-ClickHouse-Exception-Code"] == "33"
    found = http("GET", query="SELECT x, s FROM h ORDER BY x FORMAT CSV").data
    assert found == b'1,"a"\n2,"d"\n3,"b"\n4,"c"\n5,"d"\n6,"d"\n7,"n"\n7,"n"\n'
    http("POST", b"DROP TABLE h SYNC")


def _unzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


ENCODED: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (gzip.compress, gzip.decompress),
    "zstd": (zstandard.compress, _unzstd),
    "lz4": (lz4.frame.compress, lz4.frame.decompress),
}


@pytest.mark.parametrize("name", ENCODED)
def test_compressed_both_ways(http: Http, name: str) -> None:
    pack, unpack = ENCODED[name]
    answer = http._pool.request(
        "POST",
        http._url + "?enable_http_compression=1",
        body=pack(b"SELECT number FROM numbers(100000)"),
        headers={"Content-Encoding": name, "Accept-Encoding": name},
        decode_content=False,
    )
    assert answer.headers["Content-Encoding"] == name
    assert unpack(answer.data).count(b"\n") == 100_000


def test_native_frames_both_ways(http: Http) -> None:
    from pipeline.store.embedded.httpbody import unframed
    from pipeline.store.embedded.wire import frames

    body = b"".join(frames([b"SELECT number FROM numbers(100000)"], "LZ4"))
    answer = http("POST", body, compress=1, decompress=1)
    assert b"".join(unframed(iter([answer.data]))).count(b"\n") == 100_000


def test_sessions(http: Http) -> None:
    http("POST", b"CREATE TEMPORARY TABLE mine AS SELECT 7 AS x", session_id="s")
    assert http("POST", b"SELECT x FROM mine", session_id="s").data == b"7\n"
    assert http("POST", b"SELECT x FROM mine").status == 404
    assert http("POST", b"SELECT 1", session_id="other", session_check=1).status == 500


def test_password(fresh: Any, tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    listen = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    http = Http(fresh(*listen, "--password-file", str(secret)).start().http)
    right = urllib3.make_headers(basic_auth="default:s3cret")
    assert http("GET", query="SELECT 1", headers=right).data == b"1\n"
    key = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "s3cret"}
    assert http("GET", query="SELECT 1", headers=key).data == b"1\n"
    assert http("GET", query="SELECT 1", user="default", password="s3cret").data == b"1\n"
    wrong = urllib3.make_headers(basic_auth="default:no")
    for headers in ({}, wrong):
        answer = http("GET", query="SELECT 1", headers=headers)
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
    assert http.path("ping").status == 200
    http.close()


def test_clickhouse_connect(running: Running) -> None:
    host, port = running.http.removeprefix("http://").rstrip("/").split(":")
    client = clickhouse_connect.get_client(host=host, port=int(port))
    try:
        client.command(
            "CREATE TABLE cc (x UInt64, s String, l LowCardinality(String), a Array(UInt8), "
            "m Map(String, String), t DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY x"
        )
        when = datetime(2026, 11, 23)  # the client gives UTC without a zone
        rows = [[n, f"s{n}", "l", [n % 256], {"k": "v"}, when] for n in range(10_000)]
        names = ["x", "s", "l", "a", "m", "t"]
        assert client.insert("cc", rows, column_names=names).written_rows == 10_000
        found = client.query("SELECT * FROM cc ORDER BY x").result_rows
        assert [list(row) for row in found] == rows
        assert client.query("SELECT {v:String}", parameters={"v": "it's"}).result_rows == [
            ("it's",)
        ]
        with client.query_row_block_stream("SELECT number FROM numbers(300000)") as stream:
            assert sum(len(block) for block in stream) == 300_000
        with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="code: 60"):
            client.query("SELECT * FROM nowhere")
        client.command("DROP TABLE cc SYNC")
    finally:
        client.close()
