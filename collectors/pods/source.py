"""The pod versions that the collector's agent asks for.

    version(uid) -> n     a record of this version is on kubeledger.pods, acknowledged
                    None  a look-up is under way; ask again, for as long as a chunk may wait
                    0     nothing is known of this pod; go on without

`version` never blocks. Reading happens on a thread of its own: at once when an unknown uid is
asked for (at most once a second), and every `refresh_s` otherwise. While the kubelet fails,
unknown uids stay None: how long to wait is the asker's business. A uid that is in no list
is looked for again after 1, 2, 4 … seconds when it is asked for, since a kubelet that has just
started lists nothing.

State: uids asked for and not yet looked up; uids looked up and not found; when to look next.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from collectors.kubelet.client import KubeletClient, KubeletFailure
from collectors.pods.document import DocumentError, pod_versions, pods_in
from collectors.pods.files import PodFiles
from collectors.pods.kubelet import PodList
from collectors.pods.publish import Publisher
from pipeline.base.clock import Clock
from pipeline.base.errors import KubeledgerError
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Broker
from pipeline.contract import metrics
from pipeline.contract.record import PodVersion

if TYPE_CHECKING:
    from collectors.pods.config import PodsConfig

ASK_EVERY_S = 1.0  # most frequent look-ups, however many pods start
FILES_EVERY_S = 1.0
MAX_BACKOFF_S = 60.0
SAY_AGAIN_S = 600.0  # an unchanged trouble is repeated this often
_MAX_ABSENT = 10_000


class Pods(Protocol):
    """What the agent needs."""

    def version(self, uid: str) -> int | None: ...


class NoPods:
    """Nothing is configured: rows keep the names from the path."""

    def version(self, uid: str) -> int | None:
        return 0


class PodSource:
    """A context manager: the thread runs inside it."""

    def __init__(
        self,
        config: "PodsConfig",
        publisher: Publisher,
        *,
        node: str,
        telemetry: Telemetry,
        clock: Clock,
        kubelet: PodList | None = None,
    ) -> None:
        self._config = config
        self._publisher = publisher
        self._node = node
        self._telemetry = telemetry
        self._clock = clock
        self._kubelet = kubelet
        self._files = PodFiles(config.files, node=node, telemetry=telemetry)
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._absent: dict[str, tuple[float, float]] = {}  # uid -> look again at, pause
        self._tried = self._due = float("-inf")
        self.listed = 0  # complete lists so far
        self._failures = 0
        self._trouble = ("", float("-inf"))  # what was last said, when
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="pods", daemon=True)

    def __enter__(self) -> "PodSource":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Bounded by one request's time-out; an answer that comes later is not waited for."""
        self._stopping = True
        self._wake.set()
        self._thread.join(self._config.timeout_s)

    def version(self, uid: str) -> int | None:
        if not uid:
            return 0
        if self._publisher.knows(uid):
            return self._publisher.version(uid)
        with self._lock:
            absent = self._absent.get(uid)
            if absent is None or self._clock.monotonic() >= absent[0]:
                if uid not in self._asked:
                    self._asked.add(uid)
                    self._wake.set()
                return None if absent is None else 0
        return 0

    def known(self) -> list[PodVersion]:
        """All pods, those that are gone for up to an hour among them. From any thread."""
        return self._publisher.contents()

    def step(self) -> float:
        """Do what is due. Returns the seconds until something may be due again."""
        now = self._clock.monotonic()
        with self._lock:
            asked = set(self._asked)
        due = min(self._due, self._tried + ASK_EVERY_S) if asked else self._due
        if self._failures:
            due = self._due  # a failing kubelet is not asked more often for being needed
        if now >= due:
            self._tried = now
            self._look(asked)
        return self._pause()

    def _pause(self) -> float:
        now = self._clock.monotonic()
        pause = max(0.0, self._due - now)
        with self._lock:
            waiting = bool(self._asked)
        if waiting and not self._failures:
            pause = min(pause, max(0.0, self._tried + ASK_EVERY_S - now))
        return pause

    def _look(self, asked: set[str]) -> None:
        pods = {pod.uid: pod for pod in self._files.read()} if self._config.files else {}
        try:
            if self._kubelet is not None:
                pods.update((pod.uid, pod) for pod in self._ask(self._kubelet))
        except KubeletFailure as failure:
            self._failed(failure)
        else:
            self._succeeded()
        complete = not self._failures
        self._publisher.publish(pods.values(), complete=complete)
        self.listed += complete
        self._answer(asked, complete=complete)

    def _ask(self, kubelet: PodList) -> list[PodVersion]:
        try:
            return [
                version
                for pod in pods_in(kubelet.fetch())
                for version in pod_versions(pod, self._node)
            ]
        except DocumentError as error:
            raise KubeletFailure("not-json", f"/pods: {error}") from error

    def _answer(self, asked: set[str], *, complete: bool) -> None:
        """Who asked gets an answer; after a failure only those that were found do."""
        now = self._clock.monotonic()
        with self._lock:
            for uid in asked:
                if self._publisher.knows(uid):
                    self._asked.discard(uid)
                    self._absent.pop(uid, None)
                elif complete:
                    self._asked.discard(uid)
                    _, pause = self._absent.get(uid, (0.0, ASK_EVERY_S / 2))
                    pause = min(2 * pause, self._config.refresh_s)
                    self._absent[uid] = (now + pause, pause)
            while len(self._absent) > _MAX_ABSENT:
                del self._absent[next(iter(self._absent))]

    def _succeeded(self) -> None:
        if self._failures:
            self._telemetry.event("kubelet-answers-again", failures=self._failures)
        self._failures = 0
        self._trouble = ("", float("-inf"))
        every = self._config.refresh_s if self._kubelet else FILES_EVERY_S
        self._due = self._clock.monotonic() + every

    def _failed(self, failure: KubeletFailure) -> None:
        now = self._clock.monotonic()
        self._failures += 1
        pause = min(ASK_EVERY_S * 2 ** min(self._failures - 1, 10), MAX_BACKOFF_S)
        self._due = now + pause
        self._telemetry.count(metrics.KUBELET_ERRORS, reason=failure.reason)
        said, when = self._trouble
        if failure.reason != said or now - when >= SAY_AGAIN_S:
            self._trouble = (failure.reason, now)
            self._telemetry.event(
                "kubelet-failed", level="warn", reason=failure.reason, why=str(failure)
            )

    def _run(self) -> None:
        while True:
            self._wake.clear()  # before looking at what it announces, so that nothing is missed
            if self._stopping:
                return
            try:
                pause = self.step()
            except KubeledgerError as error:
                pause = self._unexpected(error)
            except Exception as error:  # noqa: BLE001 - border of the thread: metadata is worth
                pause = self._unexpected(error)  # less than logs, and must not stop for good
            self._wake.wait(pause)

    def _unexpected(self, error: Exception) -> float:
        self._due = self._clock.monotonic() + MAX_BACKOFF_S
        self._telemetry.count(metrics.KUBELET_ERRORS, reason="internal")
        self._telemetry.event("pods-failed", level="error", why=f"{type(error).__name__}: {error}")
        return MAX_BACKOFF_S


@contextmanager
def open_pods(
    config: "PodsConfig",
    *,
    kubelet: KubeletClient | None,
    broker: Broker,
    node: str,
    telemetry: Telemetry,
    clock: Clock,
) -> Iterator[Pods]:
    """What the configuration asks for; owns its producer. `kubelet` None: there is none to ask."""
    if kubelet is None and not config.files:
        yield NoPods()
        return
    producer = broker.producer()
    try:
        publisher = Publisher(producer, clock=clock, telemetry=telemetry)
        pods = PodList(kubelet, config) if kubelet else None
        source = PodSource(
            config, publisher, node=node, telemetry=telemetry, clock=clock, kubelet=pods
        )
        with source:
            yield source
    finally:
        producer.close(config.timeout_s)
