"""What the browser gets: the vendored library as it was published, and nothing from elsewhere."""

import re
from hashlib import sha256
from importlib import resources

import pytest

STATIC = resources.files("pipeline.console.page") / "static"
FILES = sorted(entry.name for entry in STATIC.iterdir())
# npm uplot 1.6.32, dist/
UPLOT = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


@pytest.mark.parametrize("name", UPLOT)
def test_the_library_is_as_published(name: str) -> None:
    assert sha256((STATIC / name).read_bytes()).hexdigest() == UPLOT[name]


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("uPlot")])
def test_nothing_comes_from_elsewhere_and_nothing_is_parsed(name: str) -> None:
    text = (STATIC / name).read_text("utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    assert not re.search(r"\son\w+=\"|style=\"", text)
    assert text.count("\n") <= 250
