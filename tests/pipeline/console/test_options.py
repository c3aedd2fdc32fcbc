"""What options refuse before a command begins."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from kubeledger import cli

RECORDING = "tests/recordings/nodes/hpa-behavior"
NUMBERS = {"--mb-per-node", "--mbps", "--settle", "--until", "--startup", "--tolerance"}


def refused(*words: str) -> str:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2, result.output
    return result.output


@pytest.mark.parametrize(
    "words",
    [
        ("size", "--nodes", "10", "--mb-per-node", "nan"),
        ("demo", "--mbps", "nan"),
        ("demo", "--mbps", "0"),
        ("audit", "--settle", "nan"),
        ("drain", "node-a", "--settle", "inf"),
        ("replay", RECORDING, "--until", "nan"),
        ("replay", RECORDING, "--until", "-5"),
        ("whatif", "hpa", "el-d/limited", "--startup", "nan", "--recording", RECORDING),
        ("whatif", "hpa", "el-d/limited", "--tolerance", "nan", "--recording", RECORDING),
    ],
)
def test_numbers_that_are_none(words: tuple[str, ...]) -> None:
    option = next(word for word in words if word in NUMBERS)
    assert f"Invalid value for '{option}'" in refused(*words)


def test_up_reads_trees_and_no_files(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text("one\n")
    assert "is a file" in refused("up", "--logs", str(file), "--data", str(tmp_path / "data"))
