"""What is to be told to whom: a pure function of alerts, silences, and what was told before.

Alerts of one incident are one group and one message; others are grouped by rule. A group is told
when an alert of it begins (after `group_wait`, so that those that come together are told
together), ends, or changes its cause; not more often than `group_interval`; and again after
`repeat_interval`. Silenced and covered alerts are not told; whoever was told of an alert hears of
its end, silenced or not: something may wait for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from alerts.alert import FIRING, Alert
from alerts.inhibit import inhibited
from alerts.matchers import Matcher, all_match
from alerts.mute import MuteTiming
from alerts.silences import Silence, silenced
from pipeline.contract.alerts import NOTICE, Change
from pipeline.contract.facts import Fact

ALL = "-"  # the one group of a target that does its own grouping

Told = tuple[str, int, str]  # status, starts_at, cause


@dataclass(frozen=True, slots=True)
class Target:
    """One place to tell. `grouped` False: it gets all alerts in one message, however they are
    grouped, and again every `repeat_ms`."""

    name: str
    matchers: tuple[Matcher, ...] = ()
    grouped: bool = True
    heartbeat: bool = False  # wants the rules that always fire
    group_wait_ms: int = 1_000
    group_interval_ms: int = 30_000
    repeat_ms: int = 4 * 3_600_000
    send_resolved: bool = True
    mutes: tuple[MuteTiming, ...] = ()


@dataclass(slots=True)
class Notice:
    """What a target was told of a group. `trying` is written before a message goes out: whoever
    takes over then knows what the target may have been told, tells it again if it still holds,
    and tells its end if it does not."""

    alerts: dict[str, Told] = field(default_factory=dict)  # those told as firing
    at: int = 0
    failed: bool = False  # it could not be told, and was given up
    trying: dict[str, Told] = field(default_factory=dict)

    def change(self, target: str, group: str) -> Change:
        body: dict[str, Any] = {"alerts": self.alerts, "at": self.at, "failed": self.failed,
                                "trying": self.trying}  # fmt: skip
        name = f"{target}/{group}"
        if not self.alerts and not self.trying:
            return Change(NOTICE, name, None)
        return Change(NOTICE, name, Fact(NOTICE, self.at, "cluster/-", f"{name}:{self.at}", body))


def read_notice(change: Change) -> tuple[str, str, Notice | None]:
    """Target, group, notice."""
    target, _, group = change.name.partition("/")
    if change.fact is None:
        return target, group, None
    body = change.fact.body
    alerts, trying = (_told_of(body.get(key, {})) for key in ("alerts", "trying"))
    return target, group, Notice(alerts, int(body["at"]), bool(body.get("failed")), trying)


def _told_of(recorded: Mapping[str, Any]) -> dict[str, Told]:
    return {name: (str(s), int(t), str(c)) for name, (s, t, c) in recorded.items()}


@dataclass(frozen=True, slots=True)
class Message:
    """To be sent; `notice` is what the target knows afterwards."""

    target: str
    group: str
    firing: list[Alert]
    resolved: list[Alert]
    news: bool  # False: a repetition
    notice: Notice
    at: int


Known = Mapping[tuple[str, str], Notice]  # (target, group) ->


@dataclass(slots=True)
class Shown:
    """Alerts as they may be told now: firing by fingerprint, and who is held back, by what."""

    alerts: Mapping[str, Alert]
    told: dict[str, Alert]
    silenced: dict[str, str]
    inhibited: dict[str, str]


def show(alerts: Mapping[str, Alert], silences: Iterable[Silence], now: int) -> Shown:
    firing = [alert for alert in alerts.values() if alert.status == FIRING]
    covered = inhibited(firing)
    muted = silenced(silences, alerts.values(), now)
    told = {
        alert.fingerprint: alert
        for alert in firing
        if alert.fingerprint not in covered and alert.fingerprint not in muted
    }
    return Shown(alerts, told, muted, covered)


def plan(target: Target, shown: Shown, known: Known, now: int) -> list[Message]:
    """Messages that are due, groups in order of name."""
    groups: dict[str, dict[str, Alert]] = {}
    for alert in shown.told.values():
        if _wanted(target, alert):
            name = alert.group if target.grouped else ALL
            groups.setdefault(name, {})[alert.fingerprint] = alert
    names = {*groups, *(group for name, group in known if name == target.name)}
    found = []
    for group in sorted(names):
        notice = known.get((target.name, group), Notice())
        message = _message(target, group, groups.get(group, {}), notice, shown, now)
        if message is not None:
            found.append(message)
    return found


def _wanted(target: Target, alert: Alert) -> bool:
    if alert.severity == "none" and not target.heartbeat:
        return False
    return all_match(target.matchers, alert.matched_labels())


def _message(
    target: Target, group: str, current: dict[str, Alert], notice: Notice, shown: Shown, now: int
) -> Message | None:
    heard = notice.trying | notice.alerts
    ready = {
        name: alert
        for name, alert in current.items()
        if name in heard or now >= alert.starts_at + target.group_wait_ms
    }
    over = [name for name in heard if name not in ready]
    told = {name: _told(alert) for name, alert in ready.items()}
    # who is held back now was told before: neither begun nor ended until it ends
    kept = {name: heard[name] for name in over if _still_fires(name, shown)}
    resolved = [shown.alerts[name] for name in over if name not in kept and name in shown.alerts]
    after = told | kept
    news = after != notice.alerts or bool(notice.trying)
    repeat = bool(ready) and now - notice.at >= target.repeat_ms
    if not news and not repeat:
        return None
    if notice.at and not repeat and now - notice.at < target.group_interval_ms:
        return None
    if not target.send_resolved and not ready:
        resolved = []
    sent = Notice(after, now)
    firing = sorted(ready.values(), key=lambda a: (a.starts_at, a.rule, a.fingerprint))
    # copies: while they are on their way, alerts change
    return Message(target.name, group, _copied(firing), _copied(resolved), news, sent, now)


def _still_fires(name: str, shown: Shown) -> bool:
    alert = shown.alerts.get(name)
    return alert is not None and alert.status == FIRING


def _copied(alerts: Iterable[Alert]) -> list[Alert]:
    return [replace(alert) for alert in alerts]


def _told(alert: Alert) -> Told:
    return (alert.status, alert.starts_at, alert.cause)
