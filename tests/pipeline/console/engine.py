"""The ClickHouse engine in a process of its own behind the Store protocol, read-only and slow: what
the console's SQL means, without any of the parts between the console and an engine.

As a program: a line of JSON {"sql", "parameters"} in, a line of JSON out.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.base.block import Block
from pipeline.base.errors import UsageError
from pipeline.store.protocol import Parameters, Result, Stream


class EngineStore:
    """A context manager; its tables are in memory."""

    def __enter__(self) -> "EngineStore":
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def query(self, sql: str, parameters: Parameters | None = None) -> Result:
        assert self._process.stdin
        assert self._process.stdout
        values = {name: _text(value, top=True) for name, value in (parameters or {}).items()}
        line = json.dumps({"sql": sql, "parameters": values}) + "\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise UsageError(answer["error"])
        meta = answer.get("meta", [])
        names, types = [m["name"] for m in meta], [m["type"] for m in meta]
        return Result(names, types, [tuple(row) for row in answer.get("data", [])])

    def stream(self, sql: str, parameters: Parameters | None = None) -> Stream:
        result = self.query(sql, parameters)
        return Stream(result.names, result.types, iter(result.rows))

    def insert(self, table: str, block: Block, *, token: str) -> None:
        raise NotImplementedError

    def command(self, sql: str, settings: Mapping[str, Any] | None = None) -> None:
        self.query(sql)

    def check(self) -> Sequence[str]:
        return []

    def close(self) -> None:
        pass


def _text(value: object, *, top: bool = False) -> str:
    """A parameter as the engine reads it: escaped, and quoted inside an array."""
    if isinstance(value, list):
        return "[" + ",".join(_text(inner) for inner in value) + "]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
        return escaped if top else "'" + escaped.replace("'", "\\'") + "'"
    return str(value)


def main() -> None:
    from chdb.session import Session

    session = Session()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            text = str(session.query(request["sql"], "JSONCompact", params=request["parameters"]))
            answer = json.loads(text) if text else {}
        except RuntimeError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
