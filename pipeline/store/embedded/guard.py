"""What a client may not do: reach beyond the store's own tables.

The engine runs with the rights of its process. Table functions and engines that read files of
the host, run programs or open connections are refused by name; so are statements that end the
process or write outside. The list is what is allowed, not what is forbidden: a function that a
later engine brings is refused until somebody has looked at it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.store.embedded.sql import Token, tokens

ACCESS_DENIED = 497

TABLE_FUNCTIONS = frozenset(
    {
        *("numbers", "numbers_mt", "zeros", "zeros_mt", "primes", "generate_series"),
        *("generateSeries", "generateRandom", "values", "SQLStandardValues", "null", "merge"),
        *("view", "viewIfPermitted", "viewExplain", "dictionary", "format", "input", "loop"),
        *("mergeTreeIndex", "mergeTreeTextIndex", "mergeTreeProjection", "mergeTreeAnalyzeIndexes"),
    }
)
ENGINES = frozenset(
    {
        *("Memory", "Log", "TinyLog", "StripeLog", "Null", "Set", "Join", "Buffer", "Merge"),
        *("View", "MaterializedView", "Dictionary", "GenerateRandom", "Alias"),
        *("Atomic", "Ordinary", "Lazy", "Overlay"),
    }
)
# Words that are also names of harmless things; only refused where they act.
_DANGEROUS_SYSTEM = frozenset(["SHUTDOWN", "KILL", "SUSPEND", "FETCH", "LISTEN"])


@dataclass(frozen=True, slots=True)
class Guard:
    """`functions`: names, lower case, that are refused when called."""

    functions: frozenset[str]

    @classmethod
    def of(cls, table_functions: Iterable[str]) -> "Guard":
        """From the names that this engine knows."""
        allowed = {name.lower() for name in TABLE_FUNCTIONS}
        return cls(frozenset(n.lower() for n in table_functions) - allowed | {"executable"})

    def refusal(self, sql: str) -> str | None:
        """Why a text may not run, or None."""
        before: tuple[Token, Token] | None = None
        words = list(tokens(sql))
        if not words:
            return None
        for at, token in enumerate(words):
            following = words[at + 1] if at + 1 < len(words) else None
            if following is not None and token.kind in ("word", "quoted"):
                before = (token, following)
                reason = self._pair(*before, words, at)
                if reason:
                    return reason
        return _statement(words)

    def _pair(self, token: Token, following: Token, words: list[Token], at: int) -> str | None:
        if following.text == "(" and token.name.lower() in self.functions:
            if at and words[at - 1].text == ".":
                return None
            return f"function {token.name} reaches beyond the store"
        if token.upper == "ENGINE":
            named = words[at + 2] if following.text == "=" and at + 2 < len(words) else following
            if named.kind not in ("word", "quoted") or engine_allowed(named.name):
                return None
            return f"table engine {named.name} reaches beyond the store"
        if (token.upper, following.upper) in (("INTO", "OUTFILE"), ("FROM", "INFILE")):
            return f"{token.upper} {following.upper} reaches the files of the host"
        if token.upper == "SOURCE" and following.text == "(":
            source = words[at + 2].name.upper() if at + 2 < len(words) else ""
            if source not in ("CLICKHOUSE", "NULL"):
                return f"dictionary source {source} reaches beyond the store"
        return None


def engine_allowed(name: str) -> bool:
    return name in ENGINES or (name.endswith("MergeTree") and not name.startswith("Replicated"))


def _last(words: list[Token]) -> int:
    """Number of words before trailing semicolons."""
    return next((n for n in range(len(words), 0, -1) if words[n - 1].text != ";"), 0)


def _statement(words: list[Token]) -> str | None:
    if any(word.text == ";" for word in words[: _last(words)]):
        return "several statements in one text; send them one by one"
    first = words[0].upper
    second = words[1].upper if len(words) > 1 else ""
    if first in ("BACKUP", "RESTORE"):
        return f"{first} reaches the files of the host"
    if first == "SYSTEM" and second in _DANGEROUS_SYSTEM:
        return f"SYSTEM {second} would end or hang the store; stop the process instead"
    if first == "INSERT" and any(w.upper == "FUNCTION" for w in words[1:4]):
        return "INSERT INTO FUNCTION reaches beyond the store"
    return None
