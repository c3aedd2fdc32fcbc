"""A store that answers from lists, for what is printed and asked; the SQL itself is tested on the
real engine in test_search_engine.py."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.base.block import Block
from pipeline.console.output import LogRow
from pipeline.store.protocol import Parameters, Result, Row, Stream


def log_row(**values: Any) -> LogRow:
    base = LogRow(
        ts=1_795_412_103_371_688_700,
        ts_shift=0,
        namespace="shop",
        workload="Deployment/web",
        pod="web-1",
        pod_uid="u-1",
        container="http",
        restart=0,
        node="node-a",
        stream="stdout",
        level="info",
        body="hello",
        trace_id="",
        attrs={},
        file_id=0xA,
        off=0,
        nbytes=50,
        kp=0,
        ko=0,
        enriched=1,
        flags=0,
    )
    return base._replace(**values)


class FakeStore:
    """`answers` are given one after the other; an exception among rows is raised there."""

    def __init__(
        self,
        *answers: Sequence[Any],
        names: Sequence[str] = (),
        types: Sequence[str] = (),
    ) -> None:
        self.answers = list(answers)
        self.names = list(names)
        self.types = list(types)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.given_up = False

    def _next(self, sql: str, parameters: Parameters | None) -> Sequence[Any]:
        self.asked.append((sql, dict(parameters or {})))
        return self.answers.pop(0)

    def query(self, sql: str, parameters: Parameters | None = None) -> Result:
        return Result(self.names, self.types, list(self._next(sql, parameters)))

    def stream(self, sql: str, parameters: Parameters | None = None) -> Stream:
        return Stream(self.names, self.types, self._rows(self._next(sql, parameters)))

    def _rows(self, answer: Sequence[Any]) -> Iterator[Row]:
        try:
            for row in answer:
                if isinstance(row, Exception):
                    raise row
                yield row
        except GeneratorExit:
            self.given_up = True
            raise

    def insert(self, table: str, block: Block, *, token: str) -> None:
        raise AssertionError("the console only reads")

    def command(self, sql: str, settings: Mapping[str, Any] | None = None) -> None:
        raise AssertionError("the console only reads")

    def check(self) -> Sequence[str]:
        return []

    def close(self) -> None:
        pass
