"""What the agent is told, and what goes onto the topic, in virtual time."""

import json
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from collectors.kubelet.client import KubeletClient, KubeletFailure
from collectors.kubelet.config import KubeletConfig
from collectors.pods.config import PodsConfig
from collectors.pods.kubelet import PodList
from collectors.pods.publish import FORGET_S, REPEAT_S, Publisher
from collectors.pods.source import MAX_BACKOFF_S, NoPods, PodSource, open_pods
from pipeline.base.clock import ManualClock, SystemClock
from pipeline.base.errors import Rejected, Unavailable
from pipeline.base.telemetry import RecordingTelemetry
from pipeline.broker.memory import MemoryBroker
from pipeline.broker.protocol import Position, TopicPartition
from pipeline.contract.record import Headers, PodVersion, decode_pod
from pipeline.contract.topics import PODS, topic_specs
from tests.collectors.kubelet.server import KubeletServer

UID = "5f1e"


class HeldProducer:
    """Acknowledges when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[PodVersion, Future[Position]]] = []

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> "Future[Position]":
        assert topic == PODS
        assert value is not None
        pod = decode_pod(value)
        assert key == pod.uid.encode()
        future: Future[Position] = Future()
        self.sent.append((pod, future))
        return future

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self, timeout_s: float) -> None:
        pass

    def acknowledge(self) -> None:
        for offset, (_, future) in enumerate(self.sent):
            if not future.done():
                future.set_result(Position(0, offset))


class ScriptedKubelet(PodList):
    """Answers with pods, or fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.pods: list[dict[str, Any]] = []
        self.failure: KubeletFailure | None = None
        self.during: Callable[[], object] = lambda: None

    def fetch(self) -> str:
        self.asked += 1
        self.during()
        if self.failure:
            raise self.failure
        return json.dumps({"kind": "PodList", "items": self.pods})


def pod(uid: str = UID, **labels: str) -> dict[str, Any]:
    metadata = {"name": f"p-{uid}", "namespace": "n", "uid": uid, "labels": labels}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}


class Bench:
    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.producer = HeldProducer()
        self.telemetry = RecordingTelemetry()
        self.kubelet = ScriptedKubelet()
        self.publisher = Publisher(self.producer, clock=self.clock, telemetry=self.telemetry)
        self.source = PodSource(
            PodsConfig(**settings),
            self.publisher,
            node="node-a",
            telemetry=self.telemetry,
            clock=self.clock,
            kubelet=None if "files" in settings else self.kubelet,
        )

    def pass_time(self, seconds: float) -> None:
        """As the thread does: step, wait as long as it says."""
        end = self.clock.monotonic() + seconds
        while (now := self.clock.monotonic()) < end:
            self.clock.advance(min(max(self.source.step(), 0.001), end - now))


def test_a_version_is_given_only_once_it_is_acknowledged() -> None:
    bench = Bench()
    bench.kubelet.pods = [pod()]
    assert bench.source.version(UID) is None
    bench.source.step()
    assert bench.source.version(UID) is None  # sent, not yet acknowledged
    bench.producer.acknowledge()
    sent = bench.producer.sent[0][0]
    assert bench.source.version(UID) == sent.version == bench.clock.wall_ns() // 1_000_000
    assert sent.node == "node-a"
    assert bench.source.version("") == 0
    assert bench.telemetry.values["kubeledger_pod_versions_total", ()] == 1


def test_a_change_makes_a_new_version_and_the_old_one_holds_until_it_arrived() -> None:
    bench = Bench(refresh_s=30)
    bench.kubelet.pods = [pod(app="a")]
    bench.source.step()
    bench.producer.acknowledge()
    first = bench.source.version(UID)
    bench.pass_time(100)
    assert len(bench.producer.sent) == 1  # unchanged
    bench.kubelet.pods = [pod(app="b")]
    bench.clock.jump_wall(-3600)  # versions grow whatever the wall clock does
    bench.pass_time(31)
    assert bench.source.version(UID) == first
    bench.producer.acknowledge()
    assert first is not None
    assert bench.source.version(UID) == first + 1
    assert dict(bench.producer.sent[1][0].labels) == {"app": "b"}


def test_unchanged_pods_are_written_again_once_a_day() -> None:
    bench = Bench(refresh_s=3600)
    bench.kubelet.pods = [pod()]
    bench.source.step()
    bench.pass_time(REPEAT_S - 3600)
    assert len(bench.producer.sent) == 1
    bench.pass_time(2 * 3600)
    assert len(bench.producer.sent) == 2
    versions = [sent.version for sent, _ in bench.producer.sent]
    assert versions[1] - versions[0] >= REPEAT_S * 1000


def test_unknown_uids_are_looked_up_at_once_but_no_more_than_once_a_second() -> None:
    bench = Bench(refresh_s=30)
    bench.source.step()
    bench.clock.advance(5)
    for number in range(50):
        bench.source.version(f"new-{number}")
    assert bench.source.step() > 0
    assert bench.kubelet.asked == 2
    bench.clock.advance(0.1)
    assert bench.source.version("one-more") is None
    assert bench.source.step() == pytest.approx(0.9)
    assert bench.kubelet.asked == 2
    bench.clock.advance(0.9)
    bench.source.step()
    assert bench.kubelet.asked == 3
    assert bench.source.version("one-more") == 0


def test_a_uid_in_no_list_is_unknown_and_looked_for_again_ever_more_rarely() -> None:
    bench = Bench(refresh_s=300)
    bench.source.step()
    asked_at: list[float] = []
    start = bench.clock.monotonic()
    bench.kubelet.during = lambda: asked_at.append(bench.clock.monotonic() - start)
    for _ in range(2000):
        bench.source.version(UID)
        bench.source.step()
        bench.clock.advance(0.1)
    assert len(asked_at) < 12
    bench.kubelet.pods = [pod()]  # the kubelet had only just started
    bench.pass_time(300)
    bench.producer.acknowledge()
    assert bench.source.version(UID)


def test_asked_while_a_look_is_under_way_waits_for_the_next() -> None:
    bench = Bench()
    bench.kubelet.during = lambda: bench.source.version("late")
    bench.source.step()
    assert bench.source.version("late") is None
    bench.kubelet.pods = [pod("late")]
    bench.pass_time(1.5)
    bench.producer.acknowledge()
    assert bench.source.version("late")


def test_a_failing_kubelet_is_asked_ever_more_rarely_counted_and_said_once() -> None:
    bench = Bench(refresh_s=30)
    bench.kubelet.failure = KubeletFailure("forbidden", "403: grant something")
    bench.pass_time(500)
    assert 6 <= bench.kubelet.asked <= 8 + 500 / MAX_BACKOFF_S
    counted = bench.telemetry.values["kubeledger_kubelet_errors_total", ("forbidden",)]
    assert counted == bench.kubelet.asked
    assert bench.telemetry.events == [
        (
            "kubelet-failed",
            {"level": "warn", "reason": "forbidden", "why": "403: grant something"},
        )
    ]
    assert bench.source.version(UID) is None  # nobody knows yet
    before = bench.kubelet.asked
    bench.source.step()
    assert bench.kubelet.asked == before  # being needed is no reason to hammer it
    bench.kubelet.failure, bench.kubelet.pods = None, [pod()]
    bench.pass_time(MAX_BACKOFF_S + 1)
    bench.producer.acknowledge()
    assert bench.source.version(UID)
    assert bench.telemetry.names()[-1] == "kubelet-answers-again"


def test_a_long_outage_forgets_nothing_and_a_deleted_pod_is_forgotten_later() -> None:
    bench = Bench(refresh_s=30)
    bench.kubelet.pods = [pod()]
    bench.source.step()
    bench.producer.acknowledge()
    bench.kubelet.failure = KubeletFailure("timeout", "no answer")
    bench.pass_time(3 * FORGET_S)
    assert bench.source.version(UID)
    bench.kubelet.failure, bench.kubelet.pods = None, []
    bench.pass_time(120)
    assert len(bench.publisher) == 0
    bench.kubelet.pods = [pod()]
    bench.pass_time(60)
    bench.kubelet.pods = []
    bench.pass_time(FORGET_S - 60)
    assert len(bench.publisher) == 1  # its last lines may still be read


def test_not_a_pod_list_is_a_failure_like_others() -> None:
    bench = Bench()
    bench.kubelet.pods = [{"metadata": {}}]
    bench.source.step()
    assert bench.telemetry.events[0][1]["reason"] == "not-json"


def test_a_refused_record_is_known_as_unknown_and_a_lost_one_is_sent_again() -> None:
    bench = Bench(refresh_s=30)
    bench.kubelet.pods = [pod("big"), pod("lost")]
    bench.source.step()
    (_, big), (_, lost) = bench.producer.sent
    big.set_exception(Rejected("too large"))
    lost.set_exception(Unavailable("the broker went away"))
    assert bench.source.version("big") == 0
    assert bench.telemetry.names() == ["pod-version-refused"] * 2
    bench.pass_time(31)
    assert [sent.uid for sent, _ in bench.producer.sent] == ["big", "lost", "lost"]
    bench.producer.acknowledge()
    assert bench.source.version("lost") == bench.producer.sent[2][0].version


def test_what_could_not_be_handed_over_is_tried_again() -> None:
    bench = Bench()
    bench.kubelet.pods = [pod()]
    send, bench.producer.send = bench.producer.send, refuse  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        bench.source.step()
    bench.producer.send = send  # type: ignore[method-assign]
    bench.pass_time(31)
    assert len(bench.producer.sent) == 1


def refuse(*_: Any, **__: Any) -> Any:
    raise Unavailable("the client is closed")


def write(path: Path, *pods: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"kind": "List", "items": [p | {"kind": "Pod"} for p in pods]}))
    temporary.rename(path)


def test_files_and_directories_are_read_again_when_they_change(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    write(tmp_path / "one.json", pod("a"))
    bench = Bench(files=(tmp_path / "one.json", folder))
    bench.source.step()
    assert [sent.uid for sent, _ in bench.producer.sent] == ["a"]
    write(folder / "two.json", pod("b"), pod("c"))
    (folder / "notes.txt").write_text("not mine")
    bench.pass_time(1.1)
    write(folder / "two.json", pod("b", app="x"))
    bench.pass_time(1.1)
    assert [sent.uid for sent, _ in bench.producer.sent] == ["a", "b", "c", "b"]


def test_a_damaged_file_is_said_once_and_what_was_known_stays(tmp_path: Path) -> None:
    path = tmp_path / "pods.json"
    write(path, pod())
    bench = Bench(files=(path, tmp_path / "absent.json"))
    bench.source.step()
    path.write_text('{"items": [')
    bench.pass_time(10)
    bench.producer.acknowledge()
    assert bench.source.version(UID)
    assert [fields["path"] for _, fields in bench.telemetry.events] == [
        str(tmp_path / "absent.json"),
        str(path),
    ]
    os.utime(path, ns=(1, 1))
    bench.pass_time(2)
    assert len(bench.telemetry.events) == 3  # it changed, and is still damaged


def test_nothing_configured_costs_nothing() -> None:
    broker = MemoryBroker()
    with open_pods(
        PodsConfig(), kubelet=None, broker=broker, node="n", telemetry=RecordingTelemetry(),
        clock=SystemClock(),
    ) as pods:  # fmt: skip
        assert isinstance(pods, NoPods)
        assert pods.version(UID) == 0
    broker.close()


def test_from_a_real_server_to_the_topic(
    server: KubeletServer, certificates: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t")
    server.body = json.dumps({"kind": "PodList", "items": [pod()]}).encode()
    config = KubeletConfig(url=server.url, token_file=tmp_path / "token", ca_file=certificates[0])
    broker, telemetry, clock = MemoryBroker(), RecordingTelemetry(), SystemClock()
    kubelet = KubeletClient(config, clock)
    broker.admin().ensure(topic_specs(1), create=True)
    with open_pods(
        PodsConfig(timeout_s=120),
        kubelet=kubelet,
        broker=broker,
        node="n",
        telemetry=telemetry,
        clock=clock,
    ) as pods:
        while (version := pods.version(UID)) is None:
            clock.sleep(0.005)
        assert pods.version("other") is None
        while (other := pods.version("other")) is None:
            clock.sleep(0.005)
        assert other == 0
    reader = broker.reader()
    reader.assign([TopicPartition(PODS, 0)])
    (record,) = reader.poll(1)
    assert record.value is not None
    assert decode_pod(record.value).version == version
    assert telemetry.names() == []
    broker.close()
