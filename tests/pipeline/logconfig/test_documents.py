"""What a file says is what kubectl would send of it, and places have their lines."""

from pathlib import Path

import pytest

from pipeline.console.check import check_files
from pipeline.console.logconfig_files import check_configs, config_documents
from pipeline.logconfig.documents import documents

EMPTY = "---\n# Source: a template that made nothing\n---\n"
CONFIG = "kind: LogConfig\nmetadata: {name: a}\nspec:\n"


def checked(path: Path, text: str) -> list[str]:
    path.write_text(text)
    told: list[str] = []
    check_configs(config_documents(path), say=told.append)
    return [line.removeprefix(f"{path}:") for line in told]


def test_empty_documents_before_an_object_move_no_line_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    told = checked(path, EMPTY + CONFIG + "  prority: 1\n---\n")
    assert told == ["7: LogConfig a: `spec.prority`: unknown key; did you mean `priority`?"]
    items = "kind: List\nitems:\n- {kind: LogConfig, metadata: {name: a}, spec: {exclude: all}}\n"
    assert checked(path, EMPTY + items) == ["6: LogConfig a: fine"]


def test_words_are_what_they_are_to_kubectl(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "{a: 2026-11-27, b: 12:30, c: 1e6, d: 1e-3, e: 0x1F, f: 010, g: .5, h: 7, i: on}"
    )
    (found,) = documents(path)
    values = ["2026-11-27", "12:30", 1e6, 0.001, 31, 8, 0.5, 7, True]
    assert list(found.value.values()) == values
    assert [type(one) for one in found.value.values()] == [type(one) for one in values]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("  priority: '5'\n", "expected a number, without quotes (found '5')"),
        ("  sample: {rate: '0.1'}\n", "expected a number, without quotes (found '0.1')"),
        ("  sample: {rate: true}\n", "expected a number, without quotes (found True)"),
        ("  limit: {bytesPerSecond: '1000'}\n", "expected a number, without quotes (found '1000')"),
        ("  limit: {bytesPerSecond: 1.5}\n", "Input should be a valid integer"),
        ("  sample: {rate: 1, keepErrors: 'no'}\n", "Input should be a valid boolean"),
        ("  sample: {rate: 1, keep_errors: false}\n", "did you mean `keepErrors`?"),
        ("  include_lines: [a]\n", "did you mean `includeLines`?"),
        ("  limit: {bytesPerSecond: 1e6}\n", "fine"),
        ("  attributes: {release: 2026-11-27}\n", "fine"),
    ],
)
def test_check_takes_what_the_api_server_takes(tmp_path: Path, spec: str, said: str) -> None:
    (told,) = checked(tmp_path / "a.yaml", CONFIG + spec)
    assert said in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "kind: LogConfig\nmetadata: {name: 订单}\nspec: {}\n",
            "2: LogConfig 订单: `metadata.name`",
        ),
        ("kind: LogConfig\nmetadata: {name: 12}\nspec: {}\n", "found 12"),
        ("kind: LogConfig\nmetadata: {name: Web}\nspec: {}\n", "lower-case letters"),
        ("kind: LogConfig\nmetadata: {}\nspec: {}\n", "a name is missing"),
        ("apiVersion: kubeledger.io/v1\n" + CONFIG + "  {}", "1: LogConfig a: `apiVersion`"),
        ("apiVersion: kubeledger.io/v1alpha1\n" + CONFIG + "  {}", "fine"),
    ],
)
def test_the_head_is_checked_as_well(tmp_path: Path, text: str, said: str) -> None:
    (told,) = checked(tmp_path / "a.yaml", text)
    assert said in told


def test_a_file_that_is_no_yaml_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "web-logs.yaml"
    path.write_text(CONFIG + "  {exclude: all\n")
    told: list[str] = []
    assert check_files([path], {}, say=told.append) == 1
    assert "not valid YAML" in told[0]
