"""Versions of alerts -> rows of table `alerts`."""

from collections.abc import Sequence

import numpy as np
import orjson

from pipeline.base.block import Block, Dictionary, Fixed, Strings
from pipeline.contract.facts import Fact


def alert_block(facts: Sequence[tuple[Fact, int]], *, cluster: str) -> Block:
    """Each with its offset on kubeledger.alerts. The other columns are made by the table."""
    count = len(facts)
    bodies = [fact.body for fact, _ in facts]
    return Block(
        {
            "ts": Fixed(np.array([fact.t for fact, _ in facts], np.int64)),
            "ts_shift": Fixed(np.zeros(count, np.int64)),
            "cluster": Dictionary([cluster.encode()], np.zeros(count, np.uint32)),
            "fingerprint": Strings([str(body["fingerprint"]).encode() for body in bodies]),
            "since": Fixed(np.array([body["since"] for body in bodies], np.int64)),
            "version": Fixed(np.array([body["version"] for body in bodies], np.uint32)),
            "body": Strings(
                [orjson.dumps(dict(body), option=orjson.OPT_SORT_KEYS) for body in bodies]
            ),
            "kp": Fixed(np.zeros(count, np.uint16)),
            "ko": Fixed(np.array([offset for _, offset in facts], np.uint64)),
        }
    )
