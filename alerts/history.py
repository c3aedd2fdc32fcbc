"""Rules over what is recorded: facts from the store, and queries asked at past times.

What would have fired is compared with what did, or with another set of rules.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from alerts.backtest import Backtest, backtest
from alerts.model import Rule
from alerts.questions import answer
from pipeline.contract.facts import ALERT, Fact
from pipeline.store.protocol import Store

_MOST_QUESTIONS = 720  # per rule: a month in steps of an hour, half a day in steps of a minute
_LEAD_MS = 24 * 3_600_000  # facts from before: an incident may have been open already


def replayed(
    rules: Sequence[Rule],
    store: Store,
    *,
    since_ms: int,
    until_ms: int,
    cluster: str,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Backtest:
    """What these rules would have said in that time. Alerts that began before are left out. The
    store may take minutes for thousands of questions: `progress` hears of each rule before."""
    answers: dict[int, list[tuple[Rule, list[dict[str, Any]]]]] = {}
    for rule in rules:
        if rule.sql is None:
            continue
        step = max(rule.sql.every, (until_ms - since_ms) // _MOST_QUESTIONS)
        times = range(since_ms, until_ms + 1, max(step, 1))
        progress(f"{rule.name}: asking the store as of {len(times):,} times …")
        for at in times:
            rows = answer(store, rule, (parameters or {}).get(rule.name, {}), at)
            answers.setdefault(at, []).append((rule, rows))
    facts = recorded_facts(store, since_ms - _LEAD_MS, until_ms)
    result = backtest(rules, facts, end=until_ms, cluster=cluster, answers=answers)
    result.alerts = _within(result.alerts, since_ms)
    result.inhibited = _within(result.inhibited, since_ms)
    result.notifications = [n for n in result.notifications if n["t"] >= since_ms]
    return result


def recorded_facts(store: Store, since_ms: int, until_ms: int) -> Iterator[Fact]:
    """In the order in which they were concluded."""
    found = store.stream(
        "SELECT kind, toUnixTimestamp64Milli(ts) + ts_shift AS t, entity, id, body FROM facts "
        "WHERE ts BETWEEN fromUnixTimestamp64Milli({since:Int64}) AND "
        "fromUnixTimestamp64Milli({until:Int64}) ORDER BY ko, t, "
        "toUInt32OrZero(splitByChar(':', id)[-1]), id",
        {"since": since_ms, "until": until_ms},
    )
    for kind, t, entity, name, body in found.rows:
        if kind != ALERT:
            yield Fact(str(kind), int(t), str(entity), str(name), json.loads(body))


def recorded_alerts(store: Store, since_ms: int, until_ms: int) -> list[dict[str, Any]]:
    """What did fire, as the evaluator recorded it."""
    result = store.query(
        "SELECT body FROM alerts FINAL WHERE status IN ('firing', 'resolved') AND severity != "
        "'none' AND starts_at BETWEEN fromUnixTimestamp64Milli({since:Int64}) AND "
        "fromUnixTimestamp64Milli({until:Int64}) ORDER BY starts_at, rule, fingerprint",
        {"since": since_ms, "until": until_ms},
    )
    bodies = [json.loads(body) for (body,) in result.rows]
    return [body | {"ends_at": body["ends_at"] or None} for body in bodies]


def _within(alerts: Sequence[dict[str, Any]], since_ms: int) -> list[dict[str, Any]]:
    return [alert for alert in alerts if alert["starts_at"] >= since_ms]
