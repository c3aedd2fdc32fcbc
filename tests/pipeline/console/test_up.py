"""What `up` says of its inputs before anything comes of them."""

from pathlib import Path

import pytest

from pipeline.base.errors import UsageError
from pipeline.console.embedded import looked_at
from pipeline.console.up import log_roots


def test_a_tree_that_is_not_there_is_waited_for_and_said(tmp_path: Path) -> None:
    typo = tmp_path / "pdos"
    assert log_roots([tmp_path, typo]) == (tmp_path, typo)
    assert looked_at(tmp_path) == str(tmp_path)
    assert looked_at(typo) == f"{typo} (not there yet)"


def test_a_file_is_no_tree(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text("one\n")
    with pytest.raises(UsageError, match="--host-file"):
        log_roots([file])
