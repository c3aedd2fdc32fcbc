"""The stock of a node pool, from the ConfigMap of ACK's instant scaling."""

import pytest

from pipeline.elasticity.ca_status import parse
from pipeline.elasticity.stock import Kind, is_stock, stock_of
from tests.cases.scaling import ca_yaml, inventory


def test_kinds_zones_and_states() -> None:
    stock = stock_of(inventory("np4f", ("ecs.g6.8xlarge", "cn-hongkong-c", "WithStock")))
    assert (stock.pool, stock.word) == ("np4f", "in-stock")
    assert stock.kinds == [Kind("ecs.g6.8xlarge", "cn-hongkong-c", "WithStock")]


@pytest.mark.parametrize(
    ("states", "word"),
    [
        (("WithStock", "WithStock"), "in-stock"),
        (("WithStock", "WithoutStock"), "low-stock"),
        (("ClosedWithStock",), "low-stock"),
        (("WithoutStock", "ClosedWithoutStock"), "out-of-stock"),
        (("WithoutStock", "SomethingNew"), "low-stock"),
        ((), "stock-unknown"),
    ],
)
def test_the_word_of_a_pool(states: tuple[str, ...], word: str) -> None:
    kinds = [(f"ecs.g{n}.large", "cn-b", state) for n, state in enumerate(states)]
    assert stock_of(inventory("np4f", *kinds)).word == word


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "null", '{"SupplySeqs": 3}', '{"SupplySeqs": ["a"]}', "Healthy",
     pytest.param("[" * 100_000, id="deep")],
)  # fmt: skip
def test_what_cannot_be_read_is_unknown(text: str) -> None:
    stock = stock_of({"metadata": {"name": "np4f-inventory-status"}, "data": {"status": text}})
    assert stock.word == "stock-unknown"
    assert "not known here" in stock.says()


def test_it_is_told_from_the_status_of_the_autoscaler() -> None:
    """Two ConfigMaps of one namespace, each with `data.status`."""
    assert is_stock(inventory("np4f"))
    assert not is_stock({"metadata": {"name": "cluster-autoscaler-status"}})
    found = inventory("np4f", ("ecs.g7.large", "cn-b", "WithoutStock"))
    assert all(not group.name and group.healthy is None for group in parse(found["data"]["status"]))
    assert stock_of({**found, "data": {"status": ca_yaml()}}).word == "stock-unknown"
