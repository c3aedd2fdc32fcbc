"""As much SQL as the endpoint must understand: tokens, and what kind of statement it is.

The engine parses the text; this only decides how to run it: does it answer with rows as a
stream, does an INSERT wait for data from the client, which output format was asked for.
Comments and quoted text are skipped as ClickHouse does, so that words inside them mean nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
      | (?P<string>'(?:[^'\\]|\\.|'')*')
      | (?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
      | (?P<word>[^\W\d]\w*)
      | (?P<number>\d[\w.]*)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    kind: str  # string, quoted, word, number, mark
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """An identifier without its quotes."""
        if self.kind == "quoted":
            return re.sub(r"\\(.)|([`\"])\2", r"\1\2", self.text[1:-1])
        return self.text


def tokens(sql: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "mark"
        if kind != "space":
            yield Token(kind, match.group(), match.start(), match.end())


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT: where to, which columns, and where its data comes from."""

    head: str  # `INSERT INTO t (a, b) SETTINGS …`, up to VALUES or FORMAT
    target: str  # table name as written
    columns: str  # inside of the parentheses as written, "" = all
    format: str  # FORMAT name, VALUES, or "" when a query follows
    data_at: int  # where inline data would start
    inline: bool  # data follows in the text


@dataclass(frozen=True, slots=True)
class Statement:
    """What to do with a text. `text` has no trailing semicolon; `plain` has no FORMAT clause."""

    verb: str
    text: str
    plain: str
    format: str
    insert: Insert | None

    @property
    def streams(self) -> bool:
        return self.verb in ("SELECT", "WITH", "(", "FROM")


@lru_cache(maxsize=256)
def parse(sql: str) -> Statement:
    """Never fails: text that makes no sense is given to the engine, whose error is better."""
    found = _insert(sql)
    if found is not None:
        return Statement("INSERT", sql, sql, "", found)
    words = list(tokens(sql))
    while words and words[-1].text == ";":
        words.pop()
    if not words:
        return Statement("", sql, sql, "", None)
    text = sql[: words[-1].end]
    verb = words[0].upper or words[0].text
    plain, format_name = _without_format(text, words)
    return Statement(verb, text, plain, format_name, None)


def _without_format(text: str, words: list[Token]) -> tuple[str, str]:
    """`… FORMAT Name` at the end, maybe followed by SETTINGS."""
    depth = 0
    for at in range(len(words) - 1, 0, -1):
        token = words[at]
        depth += (token.text == ")") - (token.text == "(")
        if depth or words[at - 1].upper != "FORMAT" or token.kind != "word":
            continue
        rest = words[at + 1 : at + 2]
        if rest and rest[0].upper != "SETTINGS":
            return text, ""
        return text[: words[at - 1].start] + text[token.end :], token.text
    return text, ""


def _insert(sql: str) -> Insert | None:
    """Reads the head of an INSERT only: what follows may be megabytes of data."""
    stream = tokens(sql)
    first = next(stream, None)
    if first is None or first.upper != "INSERT":
        return None
    start = end = 0
    columns = ""
    for token in stream:
        word = token.upper
        if not end:
            if word in ("INTO", "TABLE"):
                continue
            if word == "FUNCTION":
                return None
            start, end = token.start, token.end
        elif token.text == "." or sql[token.start - 1] == ".":
            end = token.end
        elif token.text == "(" and not columns:
            close = _closing(stream)
            if close is None:
                return None
            columns = sql[token.end : close.start].strip()
        elif word in ("VALUES", "FORMAT"):
            named = token if word == "VALUES" else next(stream, token)
            inline = bool(sql[named.end : named.end + 4096].strip(" \t\r\n;"))
            head = sql[: token.start]
            return Insert(head, sql[start:end], columns, named.text, named.end, inline)
        elif word in ("SELECT", "WITH", "FROM", "WATCH"):
            break
    return Insert(sql, sql[start:end], columns, "", len(sql), False)


def _closing(stream: Iterator[Token]) -> Token | None:
    depth = 1
    for token in stream:
        depth += (token.text == "(") - (token.text == ")")
        if not depth:
            return token
    return None


def literal(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def last_name(sql: str) -> str:
    """`USE name`: the name."""
    words = list(tokens(sql))
    return words[-1].name if words else ""
