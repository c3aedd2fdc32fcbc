"""The evaluator on a bus, in virtual time: nothing lost, nothing told twice, whatever happens."""

import pytest

from alerts.evaluator import Evaluator
from alerts.silences import new_silence
from pipeline.base.errors import Rejected, Unavailable
from pipeline.broker.protocol import Record, TopicPartition
from pipeline.contract.topics import ALERT_GROUP, DEAD, FACTS
from pipeline.replay import replay_dead
from tests.alerts.rig import T0, World, episode, moved, rule


def gone(evaluator: Evaluator) -> None:
    """As kill -9 would: nothing is closed, nothing is said."""
    evaluator.step = lambda poll_s: None  # type: ignore[method-assign]


def test_an_incident_is_told_with_its_cause_and_again_when_it_is_over() -> None:
    world = World()
    member = world.member()
    world.put(episode("e1", 1))
    world.run(member, seconds=5)
    (message,) = world.sink.got
    assert message.group == "e1"
    (alert,) = message.firing
    assert (alert.rule, alert.cause, alert.starts_at) == ("NodeNotReady", "pleg.runtime-hang", T0)
    assert alert.evidence == ["containerd is in state T"]
    world.put(episode("e1", 2, s=60, status="closed"))
    world.run(member, seconds=70)
    assert world.sink.told() == [(["NodeNotReady"], []), ([], ["NodeNotReady"])]
    assert world.sink.got[1].resolved[0].ends_at == T0 + 60_000


def test_a_better_cause_is_told_under_the_same_fingerprint() -> None:
    world = World()
    member = world.member()
    world.put(episode("e1", 1, "node.not-ready"))
    world.run(member, seconds=3)
    world.put(episode("e1", 2, "node.kubelet-down", s=4))
    world.run(member, seconds=5)
    first, second = world.sink.got
    assert [m.firing[0].cause for m in (first, second)] == ["node.not-ready", "node.kubelet-down"]
    assert first.firing[0].fingerprint == second.firing[0].fingerprint


def test_more_pods_that_suffer_are_not_news() -> None:
    world = World()
    member = world.member()
    for version in range(1, 20):
        world.put(episode("e1", version, s=version, affected=[f"shop/{n}" for n in range(version)]))
        world.run(member, seconds=2)
    assert len(world.sink.got) == 1


@pytest.mark.parametrize("after", range(1, 14))
def test_killed_at_any_moment_nothing_is_lost_and_nothing_has_another_name(after: int) -> None:
    """A member dies after so many steps; another one goes on. What the first had told may come
    once more, under the same fingerprint and beginning."""
    world = World()
    steps = 0
    member = world.member()
    script = {
        0: [episode("e1", 1)],
        3: [episode("e2", 1, "pod.crashloop", entity="deployment/shop/web", s=1.5)],
        6: [episode("e1", 2, "pleg.stuck-pod", s=3)],
        9: [episode("e1", 3, s=4.5, status="closed")],
    }
    while steps < 14:
        world.put(*script.get(steps, []))
        if steps == after:
            gone(member)
            world.clock.advance(6)  # its membership is over
            member = world.member()
        member.step(0.0)
        world.clock.advance(0.5)
        steps += 1
    world.run(member, seconds=20)
    begun = {(a.fingerprint, a.rule, a.starts_at) for m in world.sink.got for a in m.firing}
    assert {(name, at) for _, name, at in begun} == {
        ("NodeNotReady", T0), ("CrashLooping", T0 + 1500),
    }  # fmt: skip
    assert len(begun) == 2
    ended = {a.rule for m in world.sink.got for a in m.resolved}
    told_at_all = any(a.rule == "NodeNotReady" for m in world.sink.got for a in m.firing)
    assert ended == ({"NodeNotReady"} if told_at_all else set())
    assert len(world.sink.got) <= 6


def test_a_crash_between_telling_and_noting_tells_the_same_once_more() -> None:
    world = World()
    member = world.member()
    world.put(episode("e1", 1))
    while not world.sink.got:
        member.step(0.0)
        world.clock.advance(0.5)
    gone(member)  # the outcome was never collected
    world.clock.advance(6)
    world.run(world.member(), seconds=10)
    first, second = world.sink.got
    assert first.firing[0].fingerprint == second.firing[0].fingerprint
    assert first.firing[0].starts_at == second.firing[0].starts_at


def test_what_was_told_and_not_noted_and_ended_then_is_told_as_ended() -> None:
    """Found by killing: the receiver would have waited for its end for ever."""
    world = World()
    member = world.member()
    world.put(episode("e1", 1))
    while not world.sink.got:
        member.step(0.0)
        world.clock.advance(0.5)
    gone(member)
    world.put(episode("e1", 2, s=3, status="closed"))
    world.clock.advance(6)
    world.run(world.member(), seconds=10)
    assert world.sink.told() == [(["NodeNotReady"], []), ([], ["NodeNotReady"])]


@pytest.mark.parametrize("away_h", [0.9, 5, 100])
def test_an_end_of_hours_ago_is_told_by_who_comes_back(away_h: float) -> None:
    """However long nobody looked, and whatever else happened since: who was told of it waits."""
    world = World()
    member = world.member()
    world.put(episode("e1", 1))
    world.run(member, seconds=5)
    member.close()
    world.put(episode("e1", 2, s=600, status="closed"))
    later = away_h * 3600 - 60
    world.put(episode("e2", 1, "pod.crashloop", entity="pod/shop/web-0", s=later))
    world.put(episode("e2", 2, "pod.crashloop", entity="pod/shop/web-0", s=later + 10,
                      status="closed"))  # fmt: skip
    world.clock.advance(away_h * 3600)
    member = world.member()
    world.run(member, seconds=10)
    assert world.sink.told() == [(["NodeNotReady"], []), ([], ["NodeNotReady"])]
    assert world.sink.got[1].resolved[0].ends_at == T0 + 600_000
    world.run(member, seconds=10)
    assert member.mine is not None
    assert member.mine.standing.notices == {}
    told = [a for a in member.mine.fold.alerts.values() if a.rule == "NodeNotReady"]
    assert [a.status for a in told] == ([] if away_h > 1.2 else ["resolved"])


def test_an_end_waits_for_a_receiver_that_is_away_for_hours() -> None:
    world = World()
    member = world.member()
    world.put(episode("e1", 1))
    world.run(member, seconds=5)
    world.put(episode("e1", 2, s=6, status="closed"))
    world.sink.fails = [Unavailable("away")] * 4
    for _ in range(3):  # in each hour one attempt: it is never given up, and never forgotten
        world.run(member, seconds=4)
        member.close()
        world.clock.advance(3600)
        member = world.member()
    world.sink.fails.clear()
    world.run(member, seconds=10)
    assert world.sink.told() == [(["NodeNotReady"], []), ([], ["NodeNotReady"])]


def test_of_two_replicas_one_tells() -> None:
    world = World()
    one, two = world.member(), world.member()
    world.put(episode("e1", 1))
    world.run(one, two, seconds=10)
    assert len(world.sink.got) == 1
    working, waiting = (one, two) if one.mine else (two, one)
    assert waiting.mine is None
    working.close()
    world.put(episode("e1", 2, s=12, status="closed"))
    world.run(waiting, seconds=10)
    assert world.sink.told() == [(["NodeNotReady"], []), ([], ["NodeNotReady"])]


def test_one_that_lost_its_place_says_nothing_more() -> None:
    world = World()
    sleeper = world.member()
    world.run(sleeper, seconds=2)
    assert sleeper.mine is not None
    world.clock.advance(10)
    heir = world.member()
    world.put(episode("e1", 1, s=12))
    world.run(heir, seconds=5)
    assert len(world.sink.got) == 1
    world.put(episode("e2", 1, "pod.crashloop", entity="pod/shop/web-0", s=17))
    sleeper.step(0.0)
    sleeper.step(0.0)
    assert len(world.sink.got) == 1
    assert sleeper.mine is None


def test_a_round_that_stands_still_concludes_nothing_of_that_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What explains the silence of a node came behind the poll: the node is not told for itself."""
    world = World()
    member = world.member()
    world.put(moved("node-a", "Ready", "Unknown", 0))
    world.run(member, seconds=13)
    poll = member._consumer.poll

    def stands_still(timeout_s: float) -> list[Record]:
        monkeypatch.undo()
        records = poll(timeout_s)
        world.put(episode("e1", 1, "node.kubelet-down", s=14))
        world.clock.advance(4)
        return records

    monkeypatch.setattr(member._consumer, "poll", stands_still)
    world.run(member, seconds=10)
    assert world.sink.told() == [(["NodeNotReady"], [])]


def test_what_began_and_ended_while_nobody_looked_is_recorded_and_not_told() -> None:
    world = World()
    world.put(episode("e1", 1), episode("e1", 2, s=60, status="closed"))
    world.put(moved("node-b", "Ready", "Unknown", 70), moved("node-b", "Unknown", "Ready", 75))
    world.clock.advance(3600)
    member = world.member()
    world.run(member, seconds=5)
    assert world.sink.got == []
    assert member.mine is not None
    assert [a.status for a in member.mine.standing.alerts.values()] == []
    world.run(member, seconds=5)
    assert world.bus.admin().group_lag(ALERT_GROUP, FACTS) == {0: 0}


def test_a_receiver_that_is_away_is_tried_again_with_what_is_true_then() -> None:
    world = World()
    world.sink.fails = [Unavailable("away")] * 3
    member = world.member()
    world.put(episode("e1", 1))
    world.run(member, seconds=3)
    world.put(episode("e1", 2, "pleg.stuck-pod", s=3))
    world.run(member, seconds=20)
    (message,) = world.sink.got
    assert message.firing[0].cause == "pleg.stuck-pod"
    assert world.telemetry.values["kubeledger_notifications_total", ("sink", "again")] == 3


@pytest.mark.parametrize("error", [Rejected("404: no such webhook"), Unavailable("away")])
def test_what_cannot_be_told_is_a_dead_letter_that_can_be_put_back(error: Exception) -> None:
    world = World()
    world.sink.fails = [error] * (1 if isinstance(error, Rejected) else 100)  # type: ignore[list-item]
    member = world.member()
    world.put(episode("e1", 1))
    world.run(member, seconds=120)
    assert world.sink.got == []
    reader = world.bus.reader()
    reader.assign([TopicPartition(DEAD, 0)])
    (letter,) = reader.poll(0)
    headers = dict(letter.headers)
    assert headers["reason"] == b"notification-failed"
    assert str(error).encode() in headers["detail"]
    world.sink.fails.clear()
    assert replay_dead(world.bus, clock=world.clock) == {"notification-failed": 1}
    world.run(member, seconds=10)
    assert world.sink.told() == [(["NodeNotReady"], [])]


def test_a_silence_holds_back_until_it_ends() -> None:
    world = World()
    member = world.member()
    world.run(member, seconds=2)
    silence = new_silence(
        ["node=node-a"], starts_at=T0, ends_at=T0 + 30_000, by="me", comment="new disk"
    )
    world.silence(silence)
    world.run(member, seconds=3)
    world.put(episode("e1", 1, s=5))
    world.run(member, seconds=10)
    assert world.sink.got == []
    world.run(member, seconds=30)
    assert world.sink.told() == [(["NodeNotReady"], [])]


def test_the_bus_away_delays_and_loses_nothing() -> None:
    world = World()
    member = world.member()
    world.run(member, seconds=2)
    world.put(episode("e1", 1, s=2))
    world.bus.available = False
    world.run(member, seconds=10)
    assert world.sink.got == []
    world.bus.available = True
    world.run(member, seconds=10)
    assert world.sink.told() == [(["NodeNotReady"], [])]


def test_facts_that_come_again_change_nothing() -> None:
    world = World()
    member = world.member()
    all_ = [episode("e1", 1), episode("e1", 2, s=5), episode("e1", 3, s=10, status="closed")]
    world.put(*all_)
    world.run(member, seconds=20)
    world.put(*all_)
    world.run(member, seconds=10)
    assert [m.firing for m in world.sink.got] == []
    fired = world.bus.reader()
    fired.close()


def test_a_new_rule_sees_what_goes_on_already() -> None:
    world = World(rules=[rule("ZoneDisruption")])
    member = world.member()
    world.put(episode("e1", 1))
    world.run(member, seconds=5)
    assert world.sink.got == []
    member.close()
    world.rules.append(rule("NodeNotReady"))
    member = world.member()
    world.run(member, seconds=5)
    assert world.sink.told() == [(["NodeNotReady"], [])]
    assert world.sink.got[0].firing[0].starts_at == T0
    member.close()
    world.rules.pop()
    world.run(world.member(), seconds=10)
    assert world.sink.told()[1:] == [([], ["NodeNotReady"])]


def test_the_heartbeat_goes_to_who_wants_it_as_often_as_said() -> None:
    quiet = World()
    quiet.run(quiet.member(), seconds=300)
    assert quiet.sink.got == []
    world = World(heartbeat=True, repeat_ms=60_000)
    world.run(world.member(), seconds=300)
    assert {a.rule for m in world.sink.got for a in m.firing} == {"Watchdog"}
    assert 4 <= len(world.sink.got) <= 6
