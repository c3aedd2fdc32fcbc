"""The house budget: sizes, docstrings, words. A number here is a promise to the next reader."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("collectors", "pipeline", "dashboards", "alerts")
SOURCES = sorted(
    [p for package in PACKAGES for p in (ROOT / package).rglob("*.py")] + [ROOT / "kubeledger.py"]
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TEXTS = list(ROOT.glob("*.md")) + [p for d in PACKAGES for p in (ROOT / d).rglob("*.md")]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_module_is_small_and_explains_itself(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400
    assert ast.get_docstring(ast.parse(text)), "what is this module for?"
    for function in _functions(path):
        size = (function.end_lineno or 0) - function.lineno + 1
        assert size <= 60, f"{function.name} has {size} lines"


@pytest.mark.parametrize("path", TESTS, ids=_name)
def test_test_module_is_readable(path: Path) -> None:
    assert path.read_text("utf-8").count("\n") <= 500


def test_most_functions_are_short() -> None:
    sizes = sorted(
        (function.end_lineno or 0) - function.lineno + 1
        for path in SOURCES
        for function in _functions(path)
    )
    assert sizes[len(sizes) // 2] <= 12
    assert sizes[len(sizes) * 9 // 10] <= 30


def test_no_code_in_package_doors() -> None:
    for path in SOURCES:
        if path.name == "__init__.py":
            body = ast.parse(path.read_text("utf-8")).body
            assert len(body) == 1, f"{_name(path)} holds code"


def test_test_folders_are_packages() -> None:
    for path in TESTS:
        assert (path.parent / "__init__.py").exists(), f"{path.parent} shadows a real package"


def test_broad_handlers_are_few_and_say_why() -> None:
    for path in SOURCES:
        lines = path.read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            if re.search(r"except (Base)?Exception\b|except:", line):
                around = " ".join(lines[max(number - 1, 0) : number + 5])
                assert "#" in around or "raise" in around, f"{_name(path)}:{number + 1}"


def test_the_project_names_no_place_of_its_making() -> None:
    places = re.compile(r"/(?:wo" + r"rk|ro" + r"ot)/|/tmp/" + r"bash_jobs|\.\./sha" + r"red")
    for path in [*SOURCES, *TESTS, *TEXTS, ROOT / "Makefile", ROOT / ".ci" / "run"]:
        found = places.search(path.read_text("utf-8"))
        assert not found, f"{_name(path)}: {found.group() if found else ''}"
