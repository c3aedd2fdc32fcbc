"""Are rules right? Fields, labels and texts are compared with what a fact of that kind has; a query
is run on the real engine with the contract's tables. Errors name file, line and nearest name.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from alerts.fields import READABLE, known_fields
from alerts.load import RuleFile, load_rules, nearest
from alerts.questions import NOW, answer
from alerts.questions import places as query_places
from alerts.runbook import missing_sections
from alerts.templates import places
from pipeline.base.errors import KubeledgerError, UsageError
from pipeline.contract.tables import ROLLUP_1M, TABLES
from pipeline.store.clickhouse import open_store
from pipeline.store.embedded.locate import opened
from pipeline.store.migrate import migrate
from pipeline.store.protocol import Store

_AT_MS = 1_795_412_000_000  # some time: tables are empty
_FROM = re.compile(r"\b(?:FROM|JOIN)\s+([A-Za-z_][\w.]*)", re.IGNORECASE)
_CTE = re.compile(r"\b(\w+)\s+AS\s+\(\s*SELECT", re.IGNORECASE)
_UNKNOWN = re.compile(r"(?:identifier|column|Missing columns:?|Unknown function)\s+[`']?([\w.]+)")


def check_rules(folder: Path | None, engine: Store | None = None) -> list[RuleFile]:
    """Rules that are right. UsageError lists all that is wrong. Queries are run on `engine`, or
    on one that is started for the purpose."""
    found = load_rules(folder)
    wrong = [problem for file in found for problem in static_problems(file)]
    wrong += _unknown_rules(found)
    asking = [file for file in found if file.rule.sql is not None]
    if asking and not wrong:
        with nullcontext(engine) if engine is not None else empty_store() as store:
            wrong = [problem for file in asking for problem in query_problems(file, store)]
    if wrong:
        raise UsageError("\n".join(wrong))
    return found


def _unknown_rules(found: Sequence[RuleFile]) -> Iterator[str]:
    """Names in `held_back_by`: of these rules, or of the shipped ones."""
    known = {file.rule.name for file in (*found, *load_rules())}
    for file in found:
        for name in file.rule.held_back_by:
            if name not in known:
                yield f"{file.where('held_back_by')}: no rule is called {name}; " + nearest(
                    name, known
                )


@contextmanager
def empty_store() -> Iterator[Store]:
    """The engine with all tables and no rows."""
    with TemporaryDirectory(prefix="kubeledger-check-") as place, opened(Path(place)) as config:
        store = open_store(config)
        try:
            migrate(store, config)
            yield store
        finally:
            store.close()


def is_rule(path: Path) -> bool:
    """Is it meant to be a rule, rather than the configuration of a service?"""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    keys = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    return "summary" in keys and bool(keys & {"fact", "sql", "always"})


def static_problems(file: RuleFile) -> list[str]:
    """What can be said without an engine."""
    rule = file.rule
    wrong = list(_runbook(file))
    if rule.fact is not None:
        wrong += _fact(file)
        if rule.fact.kind not in READABLE:
            return wrong
        wrong += _texts(file, known_fields(rule.fact.kind))
    elif rule.sql is not None:
        wrong += _query(file)
    else:
        wrong += _texts(file, ("entity", "cluster"))
    return wrong


def query_problems(file: RuleFile, store: Store) -> list[str]:
    """The engine's word on the query, and the texts against its columns."""
    try:
        answer(store, file.rule, {}, _AT_MS)
    except KubeledgerError as error:
        return [f"{_line_of(file, str(error))}: {_engine(str(error))}"]
    return _texts(file, ("cluster", *_columns(file, store)))


def _columns(file: RuleFile, store: Store) -> Sequence[str]:
    from alerts.questions import asked

    if file.rule.sql is None:
        return ()
    return store.query(*asked(file.rule.sql, {}, _AT_MS)).names


def _fact(file: RuleFile) -> Iterator[str]:
    fact = file.rule.fact
    if fact is None:
        return
    if fact.kind not in READABLE:
        yield f"{file.where('fact', 'kind')}: no fact is a {fact.kind!r}; " + nearest(
            fact.kind, READABLE
        )
        return
    known = known_fields(fact.kind)
    for name in fact.where:
        if name not in known:
            place = file.where("fact", "where", name)
            yield f"{place}: a fact `{fact.kind}` has no field `{name}`; {nearest(name, known)}"


def _texts(file: RuleFile, known: Sequence[str]) -> list[str]:
    wrong = []
    for where, text in file.rule.texts().items():
        try:
            named = places(text)
        except ValueError as error:
            wrong.append(f"{file.where(*where.split('.'))}: `{where}`: {error}")
            continue
        for name in named:
            if name not in known:
                place = file.where(*where.split("."))
                hint = nearest(name, known)
                wrong.append(f"{place}: `{where}` names the unknown field {{{name}}}; {hint}")
    return wrong


def _query(file: RuleFile) -> Iterator[str]:
    sql = file.rule.sql
    if sql is None:
        return
    known = {spec.name for spec in TABLES} | {ROLLUP_1M}
    own = set(_CTE.findall(sql.query))
    for match in _FROM.finditer(sql.query):
        table = match[1].removeprefix("kubeledger.")
        if table not in known | own and not table.startswith("system."):
            yield f"{_line_of(file, match[1])}: no table `{table}`; {nearest(table, known)}"
    for name in query_places(sql.query):
        if name != NOW and name not in sql.parameters:
            hint = nearest(name, [NOW, *sql.parameters])
            yield f"{_line_of(file, '{' + name + '}')}: no parameter {{{name}}}; {hint}"
    if NOW not in set(query_places(sql.query)):
        yield (
            f"{file.where('sql', 'query')}: the query does not use {{now}}, so it cannot be asked "
            "about another time"
        )


def _runbook(file: RuleFile) -> Iterator[str]:
    """Only the shipped rules have their pages beside them."""
    page = Path(file.path).parent.parent / "runbooks" / f"{file.rule.name}.md"
    if page.parent.is_dir():
        for problem in missing_sections(page):
            yield f"{file.where('name')}: {problem}"


def _engine(error: str) -> str:
    """The engine's words, short, with the nearest name of the contract."""
    text = " ".join(error.partition(": ")[2].split())
    found = _UNKNOWN.search(text)
    if found is None:
        return text[:300]
    columns = {column.name for spec in TABLES for column in spec.columns}
    return f"the query names the unknown `{found[1]}`; {nearest(found[1], columns)}"


def _line_of(file: RuleFile, said: str) -> str:
    """The line of the query that has what was said; its first otherwise."""
    first = file.line("sql", "query")
    found = _UNKNOWN.search(said)
    word = found[1] if found else said
    for number, line in enumerate(file.text.splitlines(), 1):
        if number >= first and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", line):
            return f"{file.path}:{number}"
    return f"{file.path}:{first}"
