"""The pipeline under attack: what is broken just now, when it is mended, and how it ends."""

import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.audit import Audit, audit
from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal
from pipeline.base.ports import free_port
from pipeline.console.embedded import EmbeddedPipeline, Inputs
from pipeline.console.up import drain
from pipeline.store.clickhouse import open_store
from tests.chaos.accidents import (
    BUS,
    COLLECT,
    DEADLY,
    KAFKA,
    PROCESSORS,
    STORE,
    Accident,
    Profile,
    draw,
)
from tests.chaos.account import Outage, Verdict, judge
from tests.chaos.broker import BusLock, ChaosKafka
from tests.chaos.link import Link
from tests.chaos.writer import ORACLE, Generation

_TICK = 0.1
_SETTLE_S = 240.0


@dataclass(frozen=True, slots=True)
class Setting:
    bus: str  # sqlite | kafka
    seed: int
    profile: Profile
    directory: Path
    max_s: float = 3600.0  # accidents end after so long, whatever was drawn


class Chaos:
    """State: what is broken just now and when it is mended, and since when the collector is
    away. One thread, which also keeps the services alive."""

    def __init__(self, setting: Setting, clock: Clock) -> None:
        self._setting = setting
        self._clock = clock
        self._stack = ExitStack()
        self._links: dict[str, Link] = {}
        self._kafka: ChaosKafka | None = None
        self._lock = BusLock(setting.directory / "data" / "bus.db")
        self._broken: dict[str, tuple[float, Accident]] = {}
        # Since when (wall), and with a kill. At first it has not come yet.
        self._away: tuple[float, bool] | None = (self._wall(), True)
        self.outages: list[Outage] = []
        self.counts: Counter[str] = Counter()
        self._log = (setting.directory / "chaos.log").open("w", buffering=1)
        self._start = clock.monotonic()

    def __enter__(self) -> "Chaos":
        try:
            self._pipeline = self._stack.enter_context(self._build())
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._stack.close()
        self._log.close()

    def say(self, text: str) -> None:
        line = f"{self._clock.monotonic() - self._start:7.1f} s  {text}"
        self._log.write(line + "\n")
        print(line, file=sys.stderr)

    # -- building ----------------------------------------------------------------------------

    def _build(self) -> EmbeddedPipeline:
        setting, directory = self._setting, self._setting.directory
        store_port = free_port()
        settings: dict[str, dict[str, Any]] = {COLLECT: {"reading": {"sweep_s": self._sweep}}}
        for name in PROCESSORS:
            link = self._link(f"{name}>{STORE}", store_port)
            settings[name] = {"store": {"port": link.port}}
        bus = None if setting.bus == "sqlite" else self._start_kafka(settings)
        for name in PROCESSORS:
            session = {"session_timeout_s": setting.profile.session}
            settings[name]["broker"] = session | settings[name].get("broker", {})
        inputs = Inputs(
            roots=(directory / "pods",), node="chaos-node", pod_files=(directory / "pods.json",)
        )
        return EmbeddedPipeline(
            directory / "data",
            inputs,
            clock=self._clock,
            listen=f"127.0.0.1:{store_port}",
            bus=bus,
            partitions=4,
            processors=len(PROCESSORS),
            settings=settings,
        )

    @property
    def _sweep(self) -> float:
        return self._setting.profile.sweep

    def _link(self, name: str, port: int) -> Link:
        self._links[name] = link = self._stack.enter_context(Link(port))
        return link

    def _start_kafka(self, settings: dict[str, dict[str, Any]]) -> str:
        directory = self._setting.directory / "kafka"
        directory.mkdir()
        self._kafka = node = ChaosKafka(directory)
        node.format()
        doors = []
        for name in (COLLECT, *PROCESSORS):
            port = free_port()
            link = self._link(f"{name}>{KAFKA}", port)
            doors.append((name.upper().replace("-", "_"), port, link.port))
            settings[name]["broker"] = {"url": f"kafka://127.0.0.1:{link.port}"}
        node.advertise(doors)
        self._stack.callback(node.stop)
        node.start()
        return node.url

    # -- accidents ---------------------------------------------------------------------------

    def run(self, writer: "subprocess.Popen[bytes]") -> None:
        while self._away is not None:
            self.idle(_TICK)
        self.say("the collector has looked at everything")
        deadline = self._clock.monotonic() + self._setting.max_s
        for accident in draw(self._setting.bus, self._setting.seed, self._setting.profile):
            self.idle(accident.after)
            if self._clock.monotonic() > deadline:
                self.say("time is up")
                break
            if writer.poll() is not None:
                raise Fatal("the oracle died")
            self._happen(accident)
        self.idle(self._setting.profile.every)
        for name in list(self._broken):
            self._mend(name)

    def idle(self, seconds: float) -> None:
        """Keep everything alive for that long."""
        until = self._clock.monotonic() + seconds
        while True:
            now = self._clock.monotonic()
            for name, (at, _) in list(self._broken.items()):
                if now >= at:
                    self._mend(name)
            for news in self._pipeline.check():
                self.say(news)
            if self._kafka is not None and not self._kafka.alive and KAFKA not in self._broken:
                self._kafka.spawn()
            self._look_after_collector()
            if now >= until:
                return
            self._clock.sleep(_TICK)

    def _happen(self, accident: Accident) -> None:
        whom, what = accident.whom, accident.what
        before = self._wall()
        while not self._strike(what, whom):
            if what not in DEADLY:
                return  # it suffers from something else; the next accident comes soon
            self.idle(_TICK)  # nobody is there to be killed: as soon as somebody is
            before = self._wall()
        self.counts["kill" if what == "outage" else what] += 1
        self.say(f"{what} {whom}" + (f" for {accident.lasts:.1f} s" if accident.lasts else ""))
        if whom == COLLECT:
            self._gone(before, fatal=what == "kill")
        if accident.lasts:
            self._broken[whom] = self._clock.monotonic() + accident.lasts, accident

    def _strike(self, what: str, whom: str) -> bool:
        return (what == "kill" or whom not in self._broken) and self._do(what, whom)

    def _do(self, what: str, whom: str) -> bool:
        if whom in self._links:
            self._links[whom].set(what)
            return True
        if what == "lock":
            return self._lock.take()
        if whom == KAFKA:
            return self._strike_kafka(what)
        if what == "kill":
            self._broken.pop(whom, None)
            return self._pipeline.kill(whom)
        return self._pipeline.pause(whom)

    def _strike_kafka(self, what: str) -> bool:
        node = self._kafka
        if node is None or not node.alive:
            return False
        if what == "kill":
            self._broken[KAFKA] = (
                self._clock.monotonic() + 1.0,
                Accident(0.0, "kill", KAFKA, 1.0),
            )
            node.kill()
        else:
            node.pause()
        return True

    def _mend(self, name: str) -> None:
        accident = self._broken.pop(name)[1]
        if name in self._links:
            self._links[name].set("open")
        elif name == BUS:
            self._lock.release()
        elif name == KAFKA:
            if self._kafka is not None and accident.what == "pause" and self._kafka.alive:
                self._kafka.resume()
        elif accident.what == "outage":
            before = self._wall()
            self._pipeline.kill(name)
            self._gone(before, fatal=True)
        else:
            self._pipeline.resume(name)

    def _gone(self, before: float, *, fatal: bool) -> None:
        """It was there before that; we may have stood still since."""
        since = self._away or (before, fatal)
        self._away = since[0], since[1] or fatal

    def _wall(self) -> float:
        return self._clock.wall_ns() / 1e9

    def _look_after_collector(self) -> None:
        """An outage ends when the collector has looked at everything once."""
        if self._away is None or COLLECT in self._broken:
            return
        if self._pipeline.waiting_bytes() is not None:
            start, fatal = self._away
            self.outages.append(Outage(start, self._wall(), fatal))
            self._away = None

    # -- the end -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Until the collector has nothing left to send, then until the bus is empty."""
        deadline = self._clock.monotonic() + _SETTLE_S
        self.idle(3 * self._sweep + 1)  # what it owes from an earlier life is named by then
        quiet = 0
        while quiet < 5:
            if self._clock.monotonic() > deadline:
                raise Fatal(f"the collector still has {self._pipeline.waiting_bytes()} bytes")
            self.idle(0.3)
            quiet = quiet + 1 if self._pipeline.waiting_bytes() == 0 else 0
        self.say("the collector has nothing left")
        if not drain(self._pipeline, clock=self._clock, timeout_s=_SETTLE_S):
            raise Fatal(f"{self._pipeline.lag()} records in the bus are not stored")
        self.say("the bus is empty")

    def judge(self) -> tuple[Verdict, Audit]:
        """Asked again for a while: a line without its end is held back for some seconds."""
        mirror = self._setting.directory / "mirror"
        generations = [
            Generation(**g) for g in json.loads((mirror / ORACLE).read_text())["generations"]
        ]
        outages = json.dumps([asdict(outage) for outage in self.outages])
        (self._setting.directory / "outages.json").write_text(outages)
        deadline = self._clock.monotonic() + 90
        while True:
            store = open_store(self._pipeline.store)
            try:
                verdict = judge(store, generations, mirror, self.outages)
                account = audit(
                    store, database="kubeledger", since_ns=0, clock=self._clock, settle_s=0.0
                )
            finally:
                store.close()
            _agree(verdict, account)
            if not verdict.problems or self._clock.monotonic() > deadline:
                return verdict, account
            self.say(f"{len(verdict.problems)} problems; asking again: {verdict.problems[0]}")
            self.idle(3)

    def tracebacks(self) -> list[str]:
        logs = sorted((self._setting.directory / "data" / "log").glob("*"))
        return [f"{p.name} holds a traceback" for p in logs if b"Traceback" in p.read_bytes()]


def _agree(verdict: Verdict, account: Audit) -> None:
    """The audit says what the oracle says."""
    for file in account.bad:
        verdict.say(f"audit: {file.verdict}: {file.path} {file.file}")
    inexact = {int(f.file, 16) for f in account.files if not f.exact}
    if hidden := verdict.cut_files - inexact:
        verdict.say(f"audit: {len(hidden)} files lost their tail and are called exact")
    said = {int(f.file, 16): f.explained for f in account.files if f.explained}
    if said != (found := {n: b for n, b in verdict.named_by_file.items() if b}):
        differ = sorted(said.items() ^ found.items())[:3]
        verdict.say(f"audit and oracle name different bytes: {differ}")
