"""`python -m tests.bench [NAME…]`: figures as JSON lines; without names, all benchmarks.

Exit code 0 whatever the figures say; 1 when a benchmark could not be run.
"""

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

_NAMES: Mapping[str, str] = {
    "collector": "files to bus at full speed",
    "steady": "a steady 10 MB/s, with and without rotation",
    "idle": "100 containers that say nothing",
    "node": "100 pods, the node sampled every 5 s and every second",
    "processor": "chunks to native blocks",
    "facts": "event in the bus to fact in the bus",
    "state": "events to blocks, facts and state",
    "stored": "chunks to rows in the embedded engine",
    "fresh": "written to queryable at 10 MB/s",
    "size": "bytes stored per raw byte",
    "diagnosis": "verdicts over all recordings: precision and recall",
    "replay": "a day of 100 nodes, replayed",
    "fold": "state events through the readiness fold",
    "scaling": "2,000 pods in one burst through the flight recorder",
    "queries": "latencies on millions of rows",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_NAMES))
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows for `queries`")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(_NAMES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(_NAMES)}")
    failed = [name for name in chosen.names or _NAMES if not _run(name, chosen.rows)]
    return 1 if failed else 0


def _run(name: str, rows: int) -> bool:
    """One benchmark in a directory of its own. One that cannot run does not stop the others."""
    run: Callable[..., None] = import_module(f"tests.bench.{name}").run
    with tempfile.TemporaryDirectory(prefix=f"kubeledger-bench-{name}-") as work:
        try:
            run(Path(work), rows=rows) if name == "queries" else run(Path(work))
        except Exception as error:  # noqa: BLE001 - told on stderr; the other benchmarks still run
            traceback.print_exc(file=sys.stderr)
            print(json.dumps({"name": name, "failed": f"{type(error).__name__}: {error}"}))
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
