"""Third-party clients have one door each; the import linter proves the layers, this the doors
file by file."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOORS = {
    "kafka": r"pipeline/broker/kafka\w*\.py",
    "clickhouse_driver": r"pipeline/store/(clickhouse|native|embedded/\w+)\.py",
    "chdb": r"pipeline/store/embedded/\w+\.py",
    "fluent": r"pipeline/base/telemetry\.py",
    "grafana_api": r"dashboards/push\.py",
    "inotify_simple": r"collectors/logs/\w+\.py",
    "grpc": r"collectors/node/blackbox/cri\.py",
    "jeepney": r"collectors/node/host/bus\.py",
}


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("client", DOORS)
def test_client_is_imported_at_its_door_only(client: str) -> None:
    users = [
        str(path.relative_to(ROOT))
        for package in ("collectors", "pipeline", "dashboards", "alerts")
        for path in (ROOT / package).rglob("*.py")
        if client in _imports(path)
    ]
    assert [user for user in users if not re.fullmatch(DOORS[client], user)] == []


def test_nothing_imports_the_command_line() -> None:
    for package in ("collectors", "pipeline", "dashboards", "alerts"):
        for path in (ROOT / package).rglob("*.py"):
            assert "kubeledger" not in _imports(path), path


def test_node_agent_stays_light() -> None:
    """The agent lives in 48 MiB beside everything else on a node: none of these may come along
    with its imports."""
    program = (
        "import sys, collectors.agent, collectors.config, pipeline.broker.open; "
        "heavy = {'numpy', 'chdb', 'clickhouse_driver', 'rich', 'pandas', 'orjson', "
        "'grpc', 'jeepney', 'kubernetes'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
