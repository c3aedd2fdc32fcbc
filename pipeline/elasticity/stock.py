"""What ACK's instant scaling says of the stock of a node pool's kinds of machines: ConfigMap
kube-system/ID-inventory-status, `data.status`, JSON. Pure functions.

`{"SupplySeqs": [{"InstanceType": …, "Zone": …, "State": "WithStock"}, …]}` (Alibaba Cloud, "View
the health status of node instant scaling"). Its states are taken to be those of ECS
(DescribeAvailableResource): WithStock, ClosedWithStock (little is left), WithoutStock,
ClosedWithoutStock. A word that is none of these is quoted and is not called stock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.contract.documents import read_json

SUFFIX = "-inventory-status"
GONE, LOW, THERE, UNKNOWN = "out-of-stock", "low-stock", "in-stock", "stock-unknown"
_NONE = ("WithoutStock", "ClosedWithoutStock")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of machine in a zone."""

    instance_type: str
    zone: str
    state: str


@dataclass(frozen=True, slots=True)
class Stock:
    """Of one node pool. `kinds` None: what is written there cannot be read."""

    pool: str
    kinds: Sequence[Kind] | None

    @property
    def word(self) -> str:
        """Of the pool as a whole; it is out of stock when not one of its kinds is there."""
        if not self.kinds:
            return UNKNOWN
        if all(kind.state in _NONE for kind in self.kinds):
            return GONE
        return THERE if all(kind.state == "WithStock" for kind in self.kinds) else LOW

    def says(self) -> str:
        if not self.kinds:
            return f"node pool {self.pool}: its stock is in a form that is not known here"
        if self.word == THERE:
            return f"node pool {self.pool}: all {len(self.kinds)} kinds of machines are in stock"
        short = [kind for kind in self.kinds if kind.state != "WithStock"]
        words = ", ".join(f"{k.instance_type} in {k.zone} {k.state}" for k in short)
        return f"node pool {self.pool}: {len(short)} of {len(self.kinds)} are short: {words}"


def is_stock(config_map: Mapping[str, Any]) -> bool:
    return str(config_map["metadata"]["name"]).endswith(SUFFIX)


def stock_of(config_map: Mapping[str, Any]) -> Stock:
    pool = str(config_map["metadata"]["name"]).removesuffix(SUFFIX)
    text = (config_map.get("data") or {}).get("status") or ""
    try:
        document = read_json(text)
    except ValueError:
        return Stock(pool, None)
    supply = document.get("SupplySeqs") if isinstance(document, dict) else None
    if not isinstance(supply, list):
        return Stock(pool, None)
    return Stock(pool, [_kind(one) for one in supply if isinstance(one, dict)])


def _kind(source: Mapping[str, Any]) -> Kind:
    words = (str(source.get(name) or "?") for name in ("InstanceType", "Zone", "State"))
    return Kind(*words)
