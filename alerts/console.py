"""What people ask alerting for, on a data directory or by a configuration."""

import getpass
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from alerts.backtest import compare
from alerts.config import AlertConfig
from alerts.durations import span as read_span
from alerts.history import recorded_alerts, replayed
from alerts.load import load_rules, nearest
from alerts.model import Rule
from alerts.moments import read_moment
from alerts.receivers.text import moment
from alerts.show import as_document, line, print_backtest, write_json
from alerts.silences import Silence, new_silence
from alerts.standing import StateReader
from pipeline.base.clock import SystemClock
from pipeline.base.config import load
from pipeline.base.errors import UsageError
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.broker.protocol import Broker
from pipeline.contract.alerts import SILENCE, Change, encode_change
from pipeline.contract.topics import ALERTS
from pipeline.store.clickhouse import open_store
from pipeline.store.embedded.locate import opened
from pipeline.store.protocol import Store

_ACK_S = 30.0


def run_history(
    data: Path | None,
    config: Path | None,
    *,
    since: str,
    until: str | None,
    rules: Path | None,
    against: Path | None,
    as_json: bool,
    out: TextIO,
    progress: Callable[[str], None],
) -> None:
    """Exits 1 when two sets of rules are compared and differ."""
    clock = SystemClock()
    first, last = read_moment(since, clock), read_moment(until or "0s", clock)
    settings = _settings(data, config)
    mine = _rules(rules or settings.rules)
    with _store(data, settings) as store:

        def result_of(these: Sequence[Rule]):  # type: ignore[no-untyped-def]
            return replayed(these, store, since_ms=first, until_ms=last,
                            cluster=settings.cluster, parameters=settings.parameters,
                            progress=progress)  # fmt: skip

        result = result_of(mine)
        if against is not None:
            before = result_of(_rules(against)).alerts
        else:
            before = recorded_alerts(store, first, last)
    changes = compare(before, result.alerts)
    if as_json:
        document = as_document(result) | {"since": first, "until": last, "changes": changes}
        write_json(document if against else document | {"fired": before}, out)
    else:
        print_backtest(result, out)
        what = "the other rules" if against else "what fired"
        out.write(f"\ncompared with {what}:\n" + "".join(f"{change}\n" for change in changes))
        out.write("" if changes else "the same\n")
        if not against:
            out.writelines(f"fired {line(alert)}\n" for alert in before)
    if against is not None and changes:
        raise SystemExit(1)


def add_silence(
    data: Path | None,
    config: Path | None,
    matchers: Sequence[str],
    *,
    span: str,
    by: str,
    comment: str,
) -> str:
    try:
        length = read_span(span)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from None
    now = SystemClock().wall_ns() // 1_000_000
    silence = new_silence(
        matchers, starts_at=now, ends_at=now + length, by=by or _user(), comment=comment
    )
    with _bus(data, config) as broker:
        _write(broker, silence.change())
    return f"{silence.id} until {moment(silence.ends_at)}"


def list_silences(data: Path | None, config: Path | None, *, as_json: bool) -> Iterator[str]:
    now = SystemClock().wall_ns() // 1_000_000
    for silence in _silences(data, config):
        if silence.ends_at <= now:
            continue
        if as_json:
            yield json.dumps({
                "id": silence.id, "matchers": silence.matchers, "starts_at": silence.starts_at,
                "ends_at": silence.ends_at, "by": silence.by, "comment": silence.comment,
            })  # fmt: skip
        else:
            yield (
                f"{silence.id} {', '.join(silence.matchers)} until {moment(silence.ends_at)} "
                f"by {silence.by} {silence.comment}".rstrip()
            )


def expire_silences(data: Path | None, config: Path | None, names: Sequence[str]) -> Iterator[str]:
    known = [silence.id for silence in _silences(data, config)]
    chosen = []
    for name in names:
        found = [one for one in known if one.startswith(name)]
        if len(found) != 1:
            what = "no silence" if not found else f"{len(found)} silences"
            raise UsageError(f"{name!r} is the beginning of {what}; {nearest(name, known)}")
        chosen += found
    with _bus(data, config) as broker:
        for name in chosen:
            _write(broker, Change(SILENCE, name, None))
            yield f"{name} ended"


def run_render(out: Path, rules: Path | None, config: Path | None) -> list[str]:
    """Lines saying what was written."""
    from alerts.grafana import provisioning, schema

    settings = load(AlertConfig, service="alert", path=config) if config else AlertConfig()
    files = load_rules(rules or settings.rules)
    made = provisioning([file.rule for file in files], settings)
    made["rule.schema.json"] = schema()
    out.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (out / name).write_text(text)
    return [f"{out / name}" for name in made]


def _rules(folder: Path | None) -> list[Rule]:
    return [file.rule for file in load_rules(folder)]


def _settings(data: Path | None, config: Path | None) -> AlertConfig:
    if data is not None and config is not None:
        raise UsageError("--data and --config both name a store and a bus; give one")
    if data is None:
        return load(AlertConfig, service="alert", path=config)
    bus = data / "bus.db"
    if not bus.exists():
        raise UsageError(f"{data} is no data directory of `kubeledger up`: {bus} is missing")
    return AlertConfig(broker=BrokerConfig(url=f"sqlite:{bus}"))


@contextmanager
def _store(data: Path | None, settings: AlertConfig) -> Iterator[Store]:
    if data is not None:
        with opened(data / "store") as where:
            store = open_store(where)
            try:
                yield store
            finally:
                store.close()
        return
    if settings.store is None:
        raise UsageError("the configuration has no `store`; give one, or --data DIR")
    store = open_store(settings.store)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _bus(data: Path | None, config: Path | None) -> Iterator[Broker]:
    broker = open_broker(_settings(data, config).broker)
    try:
        yield broker
    finally:
        broker.close()


def _silences(data: Path | None, config: Path | None) -> list[Silence]:
    with _bus(data, config) as broker:
        reader = broker.reader()
        try:
            standing = StateReader(reader, RecordingTelemetry()).read()
        finally:
            reader.close()
    return sorted(standing.silences.values(), key=lambda silence: silence.ends_at)


def _write(broker: Broker, change: Change) -> None:
    producer = broker.producer()
    key, value, headers = encode_change(change)
    try:
        producer.send(ALERTS, key=key, value=value, headers=headers, partition=0).result(_ACK_S)
    except TimeoutError:
        raise UsageError(f"the bus has not acknowledged within {_ACK_S:.0f} s") from None
    finally:
        producer.close(_ACK_S)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
