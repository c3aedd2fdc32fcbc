"""Facts that rules are tested with, by the names that their files use: a recording of a real
cluster (`NAME@S`: watched so much longer, nothing more said), `case:NAME` of tests/cases,
`alerts:NAME` of cases.py here. All are of the real folds.
"""

from functools import cache

from alerts.backtest import Backtest, backtest
from pipeline.contract.facts import Fact
from tests.alerts.cases import CASES as OWN
from tests.alerts.rig import shipped
from tests.cases.all import CASES
from tests.cases.rig import Rig
from tests.journeys.recordings import replayed

_BY_NAME = {case.name: case.build for case in CASES}


@cache
def facts_of(name: str) -> tuple[tuple[Fact, ...], int]:
    """Facts, and when the recording ends (Unix ms)."""
    kind, colon, case = name.partition(":")
    if not colon:
        recording, _, longer = name.partition("@")
        found = replayed(recording)
        return tuple(found.facts), found.end + int(longer or 0) * 1000
    rig = Rig()
    (OWN if kind == "alerts" else _BY_NAME)[case](rig)
    return tuple(rig.facts), max(event.t for event in rig.events)


@cache
def alerts_of(name: str) -> Backtest:
    """By the shipped rules, as somebody would have got them."""
    facts, end = facts_of(name)
    return backtest(shipped(), facts, end=end + 2_000)


def fired(name: str) -> set[str]:
    """Names of all rules that fired, held back or not."""
    found = alerts_of(name)
    return {alert["rule"] for alert in (*found.alerts, *found.inhibited)}
