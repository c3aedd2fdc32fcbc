"""What `up` says of its inputs before anything comes of them."""

from pathlib import Path

from pipeline.console.embedded import looked_at


def test_a_tree_that_is_not_there_is_waited_for_and_said(tmp_path: Path) -> None:
    typo = tmp_path / "pdos"
    assert looked_at(tmp_path) == str(tmp_path)
    assert looked_at(typo) == f"{typo} (not there yet)"
