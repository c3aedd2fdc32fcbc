"""`kubeledger size`: how many of everything a cluster needs.

Arithmetic alone, from figures that `make bench` measured per core; pipeline/design.md shows them
with their commands, and why each part is loaded as far as it is. Nothing is asked of any service.
"""

import json
import math
from dataclasses import asdict, dataclass
from typing import TextIO

from rich.console import Console
from rich.table import Table

from pipeline.console.output import json_text
from pipeline.console.sizes import human_bytes

MB = 1e6
DAY_S = 86_400

# Measured (pipeline/design.md).
LINE_BYTES = 210  # on disk, on average
AGENT_MB_PER_CORE_S = 350  # files to Kafka
BUS_RATIO = 4.4  # bytes on disk to bytes on the bus
PROCESSOR_MB_PER_CORE_S = 95  # with bus, deduplication and sending
INSERT_ROWS_PER_CORE_S = 0.54e6  # the engine's own insert
MERGE_ROWS_PER_CORE_S = 0.32e6  # with text indexes
STORE_RATIOS = (13.5, 3.8)  # of real container logs, and of lines that are random ids
INDEX_SHARE = 0.65
STATE_EVENTS_PER_NODE_S = 0.88  # 30 pods a node
STATE_EVENTS_PER_CORE_S = 25_700
STATE_BYTES_PER_NODE = 125e3  # of the fold, at 100 pods a node

# Chosen: half of what a part can do, so that the other half may fail.
PARTITION_MB_S = 20
PROCESSOR_MB_S = 40
SHARD_ROWS_S = 3e6
BROKER_MB_S = 370
BLOCKS_S = 100  # inserts a second that the store should see in all
COPIES = 3
BUS_RETENTION_H = 48


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes are of disk, cores are cores that are busy on average."""

    nodes: int
    mb_per_node: float
    log_bytes_per_s: float
    rows_per_s: float
    agent_cores: float
    partitions: int
    processors: int
    processor_cores: float
    linger_s: float
    state_cores: float
    state_memory_bytes: int
    brokers: int
    broker_disk_bytes: int
    shards: int
    replicas: int
    shard_cores: int
    store_bytes_per_day: tuple[int, int]  # per replica: real container logs, worst case
    store_disk_bytes: int  # per replica of a shard, for all days, halfway between the two


def size(nodes: int, mb_per_node: float, *, days: int = 14, replicas: int = 2) -> Size:
    """`mb_per_node`: MB of container log a second of the average node."""
    rate = nodes * mb_per_node * MB
    rows = rate / LINE_BYTES
    partitions = max(4, 1 << math.ceil(math.log2(max(1.0, rate / MB / PARTITION_MB_S))))
    shards = max(1, math.ceil(rows / SHARD_ROWS_S))
    best, worst = (int(rate * DAY_S / ratio * (1 + INDEX_SHARE)) for ratio in STORE_RATIOS)
    busy = rows / shards * (1 / INSERT_ROWS_PER_CORE_S + 1 / MERGE_ROWS_PER_CORE_S)
    written = rate / BUS_RATIO * COPIES
    return Size(
        nodes=nodes,
        mb_per_node=mb_per_node,
        log_bytes_per_s=rate,
        rows_per_s=rows,
        agent_cores=round(mb_per_node / AGENT_MB_PER_CORE_S, 4),
        partitions=partitions,
        processors=max(2, math.ceil(rate / MB / PROCESSOR_MB_S)),
        processor_cores=round(rate / MB / PROCESSOR_MB_PER_CORE_S, 2),
        linger_s=max(0.5, math.ceil(partitions / BLOCKS_S * 2) / 2),
        state_cores=round(nodes * STATE_EVENTS_PER_NODE_S / STATE_EVENTS_PER_CORE_S, 3),
        state_memory_bytes=int(150e6 + nodes * STATE_BYTES_PER_NODE),
        brokers=max(3, math.ceil(written / MB / BROKER_MB_S)),
        broker_disk_bytes=int(written * BUS_RETENTION_H * 3600),
        shards=shards,
        replicas=replicas,
        shard_cores=max(2, math.ceil(busy * 1.6)),
        store_bytes_per_day=(best, worst),
        store_disk_bytes=int((best + worst) / 2 * days / shards),
    )


def print_size(found: Size, out: TextIO, *, as_json: bool) -> None:
    if as_json:
        out.write(json_text(json.loads(json.dumps(asdict(found)))) + "\n")
        return
    console = Console(file=out, highlight=False, width=None if out.isatty() else 160)
    console.print(
        f"{found.nodes:,} nodes x {found.mb_per_node:g} MB/s: {human_bytes(found.log_bytes_per_s)}"
        f"/s of log, {found.rows_per_s:,.0f} rows/s"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("part", "how many", "each"):
        table.add_column(name, overflow="fold")
    for row in _rows(found):
        table.add_row(*row)
    console.print(table)
    best, worst = map(human_bytes, found.store_bytes_per_day)
    console.print(
        f"the store grows by {best} (logs like most) to {worst} (random ids) a day and replica; "
        "the figures it follows from are in pipeline/design.md"
    )


def _rows(found: Size) -> list[tuple[str, str, str]]:
    disk = human_bytes(found.broker_disk_bytes / found.brokers)
    return [
        ("collector", str(found.nodes), f"{found.agent_cores:.2%} of a core, 40 to 64 MiB"),
        ("partitions of logs, pods", str(found.partitions), f"batch.linger_s {found.linger_s:g}"),
        ("log processors", str(found.processors),
         f"{found.processor_cores / found.processors:.0%} of a core, 512 MiB"),
        ("state processors", "2 (one waits)",
         f"{found.state_cores:.1%} of a core, {human_bytes(found.state_memory_bytes)}"),
        ("brokers", str(found.brokers), f"{disk} of disk for {BUS_RETENTION_H} h, {COPIES} copies"),
        ("store: shards x replicas", f"{found.shards} x {found.replicas}",
         f"{found.shard_cores} cores, {human_bytes(found.store_disk_bytes)} of disk"),
    ]  # fmt: skip
