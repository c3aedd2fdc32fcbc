"""`kubeledger demo`: kills included, judged by the audit and by the generator's own count."""

import json

from tests.journeys.command import run


def test_demo_survives_its_accidents() -> None:
    answer = json.loads(run("demo", "--seconds", "10", "--mbps", "4", "--seed", "3", "--json"))
    assert answer["ok"] is True
    assert answer["kills"] == 3
    assert answer["rows"] > 10_000
    assert answer["oracle"]["wrong"] == 0
    assert answer["audit"]["unexplained"] == answer["audit"]["duplicates"] == 0
    assert answer["raw_bytes"] > answer["stored_bytes"] > 0
