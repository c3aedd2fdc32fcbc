"""Every recording of a cluster, played to the evaluator that runs: who is told, of what, when, and
that it agrees with the same rules in virtual time."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from statistics import median

import pytest

from tests.alerts.material import alerts_of, facts_of
from tests.alerts.played import Played, play
from tests.alerts.test_rules import WELL
from tests.journeys.recordings import EXPECTED

SPEED = float(os.environ.get("KUBELEDGER_SPEED", "20"))
_AT_ONCE = 20
pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def playing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Played]]]:
    """All of them, several at a time: they mostly wait."""
    longest_first = sorted(EXPECTED, key=lambda name: facts_of(name)[0][0].t - facts_of(name)[1])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield {
            name: pool.submit(
                play, facts_of(name)[0], facts_of(name)[1] + 20_000,
                folder=tmp_path_factory.mktemp(name), speed=SPEED,
            )
            for name in longest_first
        }  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_told_as_it_happened(playing: Mapping[str, Future[Played]], name: str) -> None:
    told = playing[name].result()
    expected = alerts_of(name)
    alerts = {alert["fingerprint"]: alert for alert in expected.alerts}
    held_back = {alert["fingerprint"] for alert in expected.inhibited}
    in_virtual_time = {print_ for message in expected.notifications for print_ in message["firing"]}
    assert told.firing.keys() == in_virtual_time
    assert not told.firing.keys() & held_back, "symptoms under an incident are not told"
    for print_, alert in told.firing.items():
        wanted = alerts[print_]
        assert (alert["rule"], alert["starts_at"]) == (wanted["rule"], wanted["starts_at"])
        assert told.groups[print_] == {wanted["group"]}, "one group per incident"
        if wanted["ends_at"] is not None:
            assert told.resolved[print_]["ends_at"] == wanted["ends_at"]
    assert told.resolved.keys() <= told.firing.keys()
    if name in WELL:
        assert all(alert["severity"] == "info" for alert in told.firing.values())


def test_told_within_seconds_of_the_fact_that_proves_it(
    playing: Mapping[str, Future[Played]],
) -> None:
    """Seconds of the recording, in which the evaluator goes round at least every two. The median:
    some incidents are told once their alert has held for a while."""
    after = [s for found in playing.values() for s in found.result().after.values()]
    print(f"{len(after)} incidents, seconds to the first message: median {median(after):.2f}, "
          f"most {max(after):.2f}, at speed {SPEED:g}")  # fmt: skip
    assert median(after) <= 5
