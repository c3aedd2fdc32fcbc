"""The little that the endpoint understands of SQL itself."""

import pytest

from pipeline.store.embedded.columns import UnknownLayout, layout, split_type
from pipeline.store.embedded.failure import EngineError
from pipeline.store.embedded.guard import Guard
from pipeline.store.embedded.sql import parse


@pytest.mark.parametrize(
    ("sql", "verb", "form", "plain"),
    [
        ("SELECT 1", "SELECT", "", "SELECT 1"),
        ("  /* c */ -- d\n select 1 ; ;", "SELECT", "", "  /* c */ -- d\n select 1"),
        ("WITH 1 AS x SELECT x", "WITH", "", "WITH 1 AS x SELECT x"),
        ("(SELECT 1)", "(", "", "(SELECT 1)"),
        ("SELECT 1 FORMAT JSON", "SELECT", "JSON", "SELECT 1 "),
        ("SELECT 1 format CSV SETTINGS a = 1", "SELECT", "CSV", "SELECT 1  SETTINGS a = 1"),
        ("SELECT format('{}', 1)", "SELECT", "", "SELECT format('{}', 1)"),
        ("SELECT 'x FORMAT JSON'", "SELECT", "", "SELECT 'x FORMAT JSON'"),
        ("SELECT 1 -- FORMAT JSON", "SELECT", "", "SELECT 1"),
        ("", "", "", ""),
        ("'", "'", "", "'"),
    ],
)
def test_statements(sql: str, verb: str, form: str, plain: str) -> None:
    found = parse(sql)
    assert (found.verb, found.format, found.plain, found.insert) == (verb, form, plain, None)


@pytest.mark.parametrize(
    ("sql", "target", "columns", "form", "inline"),
    [
        ("INSERT INTO t VALUES", "t", "", "VALUES", False),
        ("insert into t values ;", "t", "", "values", False),
        ("INSERT INTO TABLE `d b`.`t` (a, `b)`) VALUES", "`d b`.`t`", "a, `b)`", "VALUES", False),
        ("INSERT INTO t (a) SETTINGS x = 1 FORMAT Native", "t", "a", "Native", False),
        ("INSERT INTO t VALUES (1)", "t", "", "VALUES", True),
        ("INSERT INTO t FORMAT CSV\n1,2", "t", "", "CSV", True),
        ("INSERT INTO t SELECT 1", "t", "", "", False),
        ("INSERT INTO t (a) WITH 1 AS x SELECT 'VALUES'", "t", "a", "", False),
        ("/* VALUES */ INSERT INTO values VALUES", "values", "", "VALUES", False),
    ],
)
def test_inserts(sql: str, target: str, columns: str, form: str, inline: bool) -> None:
    found = parse(sql).insert
    assert found is not None
    assert (found.target, found.columns, found.inline) == (target, columns, inline)
    assert found.format.upper() == form.upper()


def test_the_head_of_an_insert_keeps_its_settings() -> None:
    found = parse("INSERT INTO t (a) SETTINGS async_insert = 0 VALUES").insert
    assert found is not None
    assert found.head.strip() == "INSERT INTO t (a) SETTINGS async_insert = 0"


def test_data_is_not_read_as_sql() -> None:
    """A quote in megabytes of data must not be looked at."""
    sql = "INSERT INTO t FORMAT CSV\n" + "'" * 1_000_000
    found = parse(sql).insert
    assert found is not None
    assert found.inline


@pytest.mark.parametrize(
    ("kind", "name", "arguments"),
    [
        ("String", "String", []),
        ("Map(String, Array(UInt8))", "Map", ["String", "Array(UInt8)"]),
        ("Enum8('a, (' = 1, 'it\\'s)' = 2)", "Enum8", ["'a, (' = 1", "'it\\'s)' = 2"]),
        ("Tuple(`a b` UInt8, c String)", "Tuple", ["`a b` UInt8", "c String"]),
        ("Tuple()", "Tuple", []),
    ],
)
def test_types_are_taken_apart(kind: str, name: str, arguments: list[str]) -> None:
    assert split_type(kind) == (name, arguments)


@pytest.mark.parametrize("kind", ["AggregateFunction(uniq, String)", "Nonsense", "JSON"])
def test_unknown_types_are_said(kind: str) -> None:
    with pytest.raises(UnknownLayout):
        layout(kind)


def test_new_table_functions_are_refused_until_allowed() -> None:
    guard = Guard.of(["numbers", "file", "brandNewRemote"])
    assert guard.refusal("SELECT * FROM brandnewremote('x')")
    assert guard.refusal("SELECT * FROM numbers(3)") is None


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("Code: 62. DB::Exception: Wrong. (SYNTAX_ERROR)", 62, "Wrong. (SYNTAX_ERROR)"),
        ("Code: 33. DB::Exception: Code: 33. DB::Exception: x. (Y)", 33, "x. (Y)"),
        ("No active streaming query", 1002, "No active streaming query"),
    ],
)  # fmt: skip
def test_codes_of_engine_errors(text: str, code: int, message: str) -> None:
    found = EngineError.of(RuntimeError(text))
    assert (found.code, found.message) == (code, message)
