"""Mute timings: when they hold, and what is refused."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from alerts.config import AlertConfig
from alerts.mute import MuteTiming, TimeInterval, muted
from tests.alerts.rig import T0, World, episode

NIGHT = {"times": [{"start_time": "22:00", "end_time": "24:00"},
                   {"start_time": "00:00", "end_time": "06:30"}]}  # fmt: skip


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (NIGHT, ["2026-11-26T22:00", "2026-11-26T23:59", "2026-11-27T06:29"],
         ["2026-11-26T21:59", "2026-11-27T06:30"]),
        (NIGHT | {"location": "Asia/Shanghai"}, ["2026-11-26T14:00", "2026-11-26T22:29"],
         ["2026-11-26T13:59", "2026-11-26T22:30"]),
        ({"weekdays": ["saturday", "Sunday"]}, ["2026-11-28T12:00", "2026-11-29T12:00"],
         ["2026-11-27T23:59", "2026-11-30T00:00"]),
        ({"weekdays": ["monday:wednesday"]}, ["2026-11-23T12:00", "2026-11-25T12:00"],
         ["2026-11-22T12:00", "2026-11-26T12:00"]),
        ({"days_of_month": ["-2:-1"]}, ["2028-02-28T12:00", "2028-02-29T12:00"],
         ["2028-02-27T12:00", "2028-03-01T12:00"]),
        ({"days_of_month": [1], "months": ["january", "4:6"], "years": ["2026:2027"]},
         ["2026-01-01T00:00", "2027-06-01T00:00"], ["2026-07-01T00:00", "2028-01-01T00:00"]),
    ],
)  # fmt: skip
def test_when_it_holds(interval: dict, inside: list[str], outside: list[str]) -> None:
    timing = MuteTiming(name="t", time_intervals=[TimeInterval.model_validate(interval)])
    assert [muted([timing], at(text)) for text in inside] == [True] * len(inside)
    assert [muted([timing], at(text)) for text in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ({"times": [{"start_time": "22:00", "end_time": "06:00"}]}, "over midnight"),
        ({"times": [{"start_time": "25:00", "end_time": "26:00"}]}, "no time of a day"),
        ({"weekdays": ["saturday:sunday"]}, "ends before it begins"),
        ({"weekdays": ["caturday"]}, "none of sunday"),
        ({"days_of_month": ["0:5"]}, "no days of a month"),
        ({"months": ["13x"]}, "none of january"),
        ({"location": "Mars/Base"}, "no time zone"),
    ],
)
def test_what_is_refused(interval: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TimeInterval.model_validate(interval)


def test_receivers_name_timings_that_there_are_and_heartbeats_none() -> None:
    hook = {"name": "h", "type": "webhook", "url": "http://h", "mute": ["night"]}
    timing = {"name": "night", "time_intervals": [NIGHT]}
    config = AlertConfig.model_validate({"receivers": [hook], "mute_timings": [timing]})
    assert [one.name for one in config.mutes_of(config.receivers[0])] == ["night"]
    with pytest.raises(ValidationError, match="no mute timing is called night"):
        AlertConfig.model_validate({"receivers": [hook]})
    with pytest.raises(ValidationError, match="would look like a death"):
        AlertConfig.model_validate(
            {"receivers": [hook | {"heartbeat": True}], "mute_timings": [timing]}
        )
    manager = {"name": "am", "type": "alertmanager", "urls": ["http://am"], "mute": ["night"]}
    with pytest.raises(ValidationError, match="mute timings of its own"):
        AlertConfig.model_validate(
            {"receivers": [manager | {"heartbeat": False}], "mute_timings": [timing]}
        )
    with pytest.raises(ValidationError, match="same name"):
        AlertConfig.model_validate({"mute_timings": [timing, timing]})


def test_what_holds_is_told_when_the_time_is_over_and_what_ended_within_never() -> None:
    minute = datetime.fromtimestamp(T0 / 1000 + 60, UTC).strftime("%H:%M")
    until = datetime.fromtimestamp(T0 / 1000 + 180, UTC).strftime("%H:%M")
    interval = {"times": [{"start_time": minute, "end_time": until}]}
    timing = MuteTiming.model_validate({"name": "t", "time_intervals": [interval]})
    world = World(mutes=(timing,))
    member = world.member()
    world.put(episode("e1", 1))
    world.run(member, seconds=65)
    assert world.sink.told() == [(["NodeNotReady"], [])]
    world.put(episode("e1", 2, s=66, status="closed"))
    world.put(episode("e2", 1, entity="node/node-b", s=67))
    world.put(episode("e3", 1, entity="node/node-c", s=68))
    world.put(episode("e3", 2, entity="node/node-c", s=90, status="closed"))
    world.run(member, seconds=55)
    assert len(world.sink.got) == 1
    world.run(member, seconds=80)
    told = [([a.entity for a in m.firing], [a.entity for a in m.resolved]) for m in world.sink.got]
    assert sorted(told[1:]) == [([], ["node/node-a"]), (["node/node-b"], [])]
