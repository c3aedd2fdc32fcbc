"""`kubeledger size` against the worked example of pipeline/design.md."""

import io
import json

import pytest
from click.testing import CliRunner

from pipeline.console.serving import size_command
from pipeline.console.sizing import Size, print_size, size


def test_five_thousand_nodes_as_in_the_design() -> None:
    found = size(5000, 1.0)
    assert found.log_bytes_per_s == 5e9
    assert round(found.rows_per_s / 1e6) == 24
    assert (found.partitions, found.processors, found.shards) == (256, 125, 8)
    assert found.linger_s == 3.0
    assert found.brokers == 10
    assert 0.3 < found.processor_cores / found.processors < 0.5


def test_ten_nodes_need_the_least_of_everything() -> None:
    found = size(10, 0.1)
    assert (found.partitions, found.processors, found.shards, found.brokers) == (4, 2, 1, 3)
    assert found.linger_s == 0.5
    assert found.shard_cores == 2


@pytest.mark.parametrize("nodes", [1, 37, 400, 5000, 20_000])
def test_more_never_needs_less(nodes: int) -> None:
    def flat(found: Size) -> list[float]:
        return [found.partitions, found.processors, found.shards, found.brokers,
                found.store_disk_bytes * found.shards]  # fmt: skip

    assert all(a <= b for a, b in zip(flat(size(nodes, 1)), flat(size(nodes, 2)), strict=True))
    assert size(nodes, 1, days=28).store_disk_bytes > size(nodes, 1, days=14).store_disk_bytes


def test_both_forms_say_the_same() -> None:
    text, document = io.StringIO(), io.StringIO()
    print_size(size(100, 0.5), text, as_json=False)
    print_size(size(100, 0.5), document, as_json=True)
    found = json.loads(document.getvalue())
    assert found["partitions"] == size(100, 0.5).partitions
    assert "100 nodes x 0.5 MB/s: 50.0 MB/s of log" in text.getvalue()


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "much"])
def test_what_is_no_number_is_no_traceback(text: str) -> None:
    done = CliRunner().invoke(size_command, ["--nodes", "10", "--mb-per-node", text])
    assert done.exit_code == 2
    assert "Invalid value for '--mb-per-node'" in done.output
