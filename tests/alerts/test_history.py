"""Rules asked at past times: how many questions, and that they are announced."""

from typing import Any

from alerts.history import replayed
from alerts.load import load_rules
from pipeline.store.protocol import Result, Stream

HOUR_MS = 3_600_000


class Quiet:
    """A store in which nothing happened; counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def query(self, sql: str, parameters: Any = None) -> Result:
        self.asked += 1
        return Result([], [], [])

    def stream(self, sql: str, parameters: Any = None) -> Stream:
        return Stream([], [], iter(()))


def test_minutes_of_questions_are_announced_by_rule() -> None:
    rules = [file.rule for file in load_rules() if file.rule.sql is not None]
    store, said = Quiet(), list[str]()
    found = replayed(rules, store, since_ms=0, until_ms=168 * HOUR_MS, cluster="-",  # type: ignore[arg-type]
                     progress=said.append)  # fmt: skip
    assert [text.split(":")[0] for text in said] == [rule.name for rule in rules]
    assert all("721 times" in text for text in said)
    assert (store.asked, found.alerts) == (721 * len(rules), [])
