"""The whole collector against a real HTTPS kubelet: every outcome, and nothing waits for a hang."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from collectors.kubelet.client import KubeletClient
from collectors.kubelet.config import KubeletConfig
from collectors.node.collector import Collector
from collectors.node.config import NodeConfig, SuspicionConfig
from collectors.node.fetch import Fetcher
from collectors.node.growth import Growth
from collectors.node.lanes import Lanes
from collectors.node.outbox import Outbox
from collectors.node.ports import Answer
from collectors.node.sampler import PATHS, Sampler
from pipeline.base.clock import SystemClock
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import TopicPartition
from pipeline.contract import state
from pipeline.contract.state import StateEvent, decode_state
from pipeline.contract.topics import STATE, topic_specs
from tests.collectors.cluster.watcher_rig import until
from tests.collectors.kubelet.server import KubeletServer, Route, make_certificates
from tests.collectors.node.bodies import body

FORBIDDEN = b"Forbidden (user=system:serviceaccount:k:c, verb=get, resource=nodes, subresource%s)"


@dataclass
class Box:
    """A black box that is done as soon as it is looked at."""

    started: list[str] = field(default_factory=list)
    found: dict[str, Any] | None = None

    def start(self, why: str) -> None:
        self.started.append(why)
        self.found = {"verdict": "runtime-wide", "calls": []}

    def finished(self) -> Mapping[str, Any] | None:
        found, self.found = self.found, None
        return found


@dataclass
class Running:
    """What a running collector has written, and what it said."""

    broker: MemoryBroker
    telemetry: RecordingTelemetry
    growth: Growth
    box: Box

    def events(self) -> list[StateEvent]:
        reader = self.broker.reader()
        reader.assign([TopicPartition(STATE, 0)])
        found = []
        while records := reader.poll(0):
            found += [decode_state(record.value or b"") for record in records]
        return found

    def samples(self, part: str) -> list[Mapping[str, Any]]:
        bodies = [e.body for e in self.events() if e.kind == state.SAMPLE]
        return [b for b in bodies if b["part"] == part]

    def until(
        self,
        part: str,
        outcome: str,
        count: int = 1,
        wanted: Callable[[Mapping[str, Any]], object] = lambda body: True,
    ) -> list[Mapping[str, Any]]:
        """Wait for so many samples of the part with that outcome."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = [b for b in self.samples(part) if b["outcome"] == outcome and wanted(b)]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"no {part} {outcome} among {self.samples(part)}")

    def probe(self) -> Mapping[str, Any]:
        """Wait for what the black box found."""
        until(lambda: any(event.kind == state.PROBE for event in self.events()))
        return next(event.body for event in self.events() if event.kind == state.PROBE)


def settings(**changes: Any) -> NodeConfig:
    """Where nothing hangs, nothing times out, however slow the machine is."""
    paces = dict.fromkeys((f"{part}_s" for part in PATHS), 0.2)
    return NodeConfig(
        **{
            **paces, "host_s": 0, "growth_s": 0.2, "deadline_s": 60, "slow_deadline_s": 60,
            "healthz_url": "", "suspicion": SuspicionConfig(every_s=0.2), **changes,
        }
    )  # fmt: skip


@contextmanager
def collecting(kubelet: KubeletConfig, config: NodeConfig) -> Iterator[Running]:
    clock, broker, growth, box = SystemClock(), MemoryBroker(), Growth(), Box()
    broker.admin().ensure(topic_specs(1), create=True)
    telemetry = RecordingTelemetry()
    fetch = Fetcher(KubeletClient(kubelet, clock), healthz_url=config.healthz_url, clock=clock)
    workers = dict.fromkeys(PATHS, fetch) | {
        state.GROWTH: lambda r: Answer(r, state.OK, 0, values=growth.read(r.asked)),
    }
    outbox = Outbox(
        broker.producer(), cluster="shop", limit_bytes=1 << 20, telemetry=telemetry, clock=clock
    )
    collector = Collector(
        Sampler(config, node="node-a"), lanes=Lanes(workers, clock), growth=growth, blackbox=box,
        outbox=outbox, telemetry=telemetry, clock=clock,
    )  # fmt: skip
    with collector:
        yield Running(broker, telemetry, growth, box)
    broker.close()


@pytest.fixture
def kubelet(
    server: KubeletServer, certificates: tuple[Path, Path], tmp_path: Path
) -> KubeletConfig:
    (tmp_path / "token").write_text("t")
    server.routes = {
        "/metrics": Route(body=body("metrics")),
        "/metrics/probes": Route(body=body("metrics-probes-1")),
        "/metrics/resource": Route(body=body("metrics-resource")),
        "/stats/summary": Route(body=body("stats-summary")),
        "/configz": Route(body=body("configz")),
        "/healthz": Route(body=b"[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n"),
    }
    return KubeletConfig(url=server.url, token_file=tmp_path / "token", ca_file=certificates[0])


def test_every_part_arrives_on_the_bus(server: KubeletServer, kubelet: KubeletConfig) -> None:
    with collecting(kubelet, settings()) as running:
        found = {part: running.until(part, state.OK, 2) for part in PATHS}
        growth = running.until(state.GROWTH, state.OK)
    assert found[state.METRICS][0]["values"]["relist_count"] == 327
    assert found[state.HEALTHZ][0]["values"]["checks"]["syncloop"] is True
    assert found[state.CONFIGZ][0]["values"]["runtime_request_timeout_s"] == 120
    assert found[state.STATS][0]["values"]["pods"] == 9
    assert found[state.RESOURCE][0]["values"]["containers"] == 10
    assert found[state.PROBES][0]["values"]["total_failed"] == 11
    assert growth[0]["values"] == {"active": 0}
    assert ("/healthz?verbose", "Bearer t") in server.requests
    ids = [event.id for event in running.events()]
    assert len(set(ids)) == len(ids)
    assert running.telemetry.values["kubeledger_node_samples_total", ("stats", "ok")] >= 2


def test_a_hanging_metrics_delays_nothing(server: KubeletServer, kubelet: KubeletConfig) -> None:
    server.routes["/metrics"].gate = gate = threading.Event()
    with collecting(kubelet, settings()) as running:
        until(lambda: server.asked("/metrics"))
        healthz = len(running.samples(state.HEALTHZ))
        running.until(state.HEALTHZ, state.OK, healthz + 5)
        assert running.samples(state.METRICS) == []
        gate.set()
        running.until(state.METRICS, state.OK)


def test_a_metrics_that_times_out_is_asked_patiently(
    server: KubeletServer, kubelet: KubeletConfig
) -> None:
    server.routes["/metrics"].gate = gate = threading.Event()
    # What else has this deadline is not asked: on a slow machine it would be missed, too.
    others = {"healthz_s": 0, "probes_s": 0, "resource_s": 0}
    config = settings(deadline_s=0.5, patient_deadline_s=600, **others)
    with collecting(kubelet, config) as running:
        running.until(state.METRICS, state.TIMEOUT, 2)
        assert running.probe()["verdict"] == "runtime-wide"
        stats = len(running.samples(state.STATS))
        running.until(state.STATS, state.OK, stats + 5)  # it goes on meanwhile
        assert running.telemetry.names().count("blackbox-started") == 1
        assert running.box.started == ["metrics-timeout"]
        assert not [b for b in running.samples(state.METRICS) if b.get("patient")]
        gate.set()
        running.until(state.METRICS, state.OK, wanted=lambda body: body.get("patient"))
    suspicious = [f["reasons"] for name, f in running.telemetry.events if name == "node-suspicious"]
    assert suspicious[0] == ["metrics-timeout"]


def test_a_trickling_answer_is_cut_off_at_the_deadline(
    server: KubeletServer, kubelet: KubeletConfig
) -> None:
    text = body("metrics-resource")
    pieces = [text[at : at + 50] for at in range(0, len(text), 50)]
    server.routes["/metrics/resource"] = Route(body=pieces, between=lambda: time.sleep(0.05))
    with collecting(kubelet, settings(deadline_s=0.5)) as running:
        # A worker that is held up may be answered for, in other words.
        own = running.until(
            state.RESOURCE, state.TIMEOUT, wanted=lambda b: "in 0.5 s" in b["detail"]
        )
        assert own[0]["ms"] >= 450
        running.until(state.METRICS, state.OK, 2)


@pytest.mark.parametrize("form", [b"=stats", b"(s)=[stats]"])
def test_a_403_names_the_missing_rule_and_is_said_once(
    server: KubeletServer, kubelet: KubeletConfig, form: bytes
) -> None:
    server.routes["/stats/summary"] = Route(status=403, body=FORBIDDEN % form)
    with collecting(kubelet, settings(refused_s=3600)) as running:
        (sample, *_) = running.until(state.STATS, state.FORBIDDEN)
        running.until(state.METRICS, state.OK, 6)
    assert sample["status"] == 403
    assert "`get` on `nodes/stats`" in sample["detail"]
    assert server.asked("/stats/summary") == 1  # not asked again for an hour
    said = [f for name, f in running.telemetry.events if name == "sample-failed"]
    assert [(f["part"], f["outcome"]) for f in said] == [("stats", "forbidden")]
    assert "`get` on `nodes/stats`" in said[0]["why"]


def test_a_401_names_the_token_file_and_not_the_token(
    server: KubeletServer, kubelet: KubeletConfig
) -> None:
    server.routes["/metrics"] = Route(status=401, body=b"Unauthorized")
    with collecting(kubelet, settings()) as running:
        (sample, *_) = running.until(state.METRICS, state.FORBIDDEN)
    assert str(kubelet.token_file) in sample["detail"]


def test_other_statuses_nonsense_and_answers_cut_short(
    server: KubeletServer, kubelet: KubeletConfig
) -> None:
    failed = b"[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n"
    server.routes["/healthz"] = Route(status=500, body=failed)
    server.routes["/metrics/probes"] = Route(status=404, body=b"404 page not found\n")
    server.routes["/configz"] = Route(body=b"<html>")
    server.routes["/metrics/resource"] = Route(body=body("metrics-resource"), cut=100)
    with collecting(kubelet, settings()) as running:
        (healthz, *_) = running.until(state.HEALTHZ, state.STATUS)
        (probes, *_) = running.until(state.PROBES, state.STATUS)
        (configz, *_) = running.until(state.CONFIGZ, state.UNREADABLE)
        (resource, *_) = running.until(state.RESOURCE, state.UNREADABLE)
    assert (healthz["status"], healthz["values"]["failed"]) == (500, ["syncloop"])
    assert (probes["status"], probes["detail"]) == (404, "404 page not found")
    assert configz["detail"].startswith("/configz: ")
    assert "100 bytes early" in resource["detail"]


def test_a_wrong_certificate_and_nobody_listening(
    server: KubeletServer, kubelet: KubeletConfig, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    stranger, _ = make_certificates(tmp_path / "other")
    with collecting(kubelet.model_copy(update={"ca_file": stranger}), settings()) as running:
        (sample, *_) = running.until(state.METRICS, state.CERTIFICATE)
        assert "kubelet.ca_file" in sample["detail"]
    assert server.requests == []  # no token for a stranger
    assert "sample-failed" in running.telemetry.names()
    closed = kubelet.model_copy(update={"url": "https://127.0.0.1:1"})
    with collecting(closed, settings()) as running:
        running.until(state.METRICS, state.REFUSED)
        running.until(state.HEALTHZ, state.REFUSED)


def test_healthz_from_the_health_port_without_a_token(
    server: KubeletServer, kubelet: KubeletConfig
) -> None:
    with KubeletServer(body=b"[+]ping ok\n") as plain:
        config = settings(healthz_url=f"{plain.url}/healthz")
        with collecting(kubelet, config) as running:
            (sample, *_) = running.until(state.HEALTHZ, state.OK)
    assert sample["values"] == {"checks": {"ping": True}, "failed": []}
    assert plain.requests[0] == ("/healthz?verbose", "")
    assert server.asked("/healthz") == 0


def test_silence_of_the_logs_is_sampled_at_once(
    server: KubeletServer, kubelet: KubeletConfig
) -> None:
    with collecting(kubelet, settings(growth_s=3600)) as running:
        running.until(state.GROWTH, state.OK)
        now = time.monotonic()
        names = [f"shop/{n}/main" for n in range(3)]
        for second in range(40, 8, -1):
            for name in names:
                running.growth.grew(name, now - second)
        running.growth.looked(now, names)
        found = running.until(state.GROWTH, state.OK, 2)
    assert found[1]["values"]["silent"]["containers"] == 3


def test_a_bus_that_is_away_loses_nothing_within_the_bound(
    server: KubeletServer, kubelet: KubeletConfig
) -> None:
    with collecting(kubelet, settings()) as running:
        running.until(state.METRICS, state.OK)
        running.broker.available = False
        seen = server.asked("/metrics")
        until(lambda: server.asked("/metrics") >= seen + 5)
        running.broker.available = True
        running.until(state.METRICS, state.OK, seen + 4)
        asked = server.asked("/metrics")
    assert len(running.samples(state.METRICS)) >= asked - 1
    assert ("kubeledger_node_samples_dropped_total", ()) not in running.telemetry.values
