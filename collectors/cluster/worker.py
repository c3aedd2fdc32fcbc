"""One thread for one ResourceWatch: its requests carried out, its events sent.

`lock` is held while the core is fed AND while what it gave is sent, so that the order of a
resource's events is that of the core; whoever else drives the same core (the ticker, the twin that
shares a Known) holds it as well.
"""

import threading
from collections.abc import Callable

from collectors.cluster.api import Answer, ApiFailure, ApiServer
from collectors.cluster.outlet import Deposed, Outlet
from collectors.cluster.ports import (
    Broken,
    Ended,
    Instant,
    List,
    Opened,
    Piece,
    Refused,
    Request,
)
from collectors.cluster.resource import ResourceWatch
from pipeline.base.clock import Clock
from pipeline.base.errors import KubeledgerError
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics, state
from pipeline.contract.state import SYNCED, StateEvent

_IDLE_S = 1.0
_TROUBLE_S = 30.0


def instant(clock: Clock) -> Instant:
    return Instant(clock.monotonic(), clock.wall_ns() // 1_000_000)


class Worker:
    """`make` gives a core that begins anew after so many seconds: the first one, and another
    after a failure in here that nobody thought of."""

    def __init__(
        self,
        make: Callable[[float], ResourceWatch],
        *,
        api: ApiServer,
        outlet: Outlet,
        lock: threading.Lock,
        lists: threading.Semaphore,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self.failure: KubeledgerError | None = None
        self.heard = clock.monotonic()
        self._make = make
        self._watch = make(0.0)
        self.name = self._watch.scope.name
        self._api = api
        self._outlet = outlet
        self._lock = lock
        self._lists = lists
        self._telemetry = telemetry
        self._clock = clock
        self._stopping = threading.Event()
        self._answer: Answer | None = None
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns at once; `join` waits."""
        self._stopping.set()
        answer = self._answer
        if answer is not None:
            answer.shut()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def tick(self) -> None:
        """From the ticker's thread, which must not wait: skipped while the worker itself is
        sending, or the bus takes nothing. What is due stays due. Room that another resource takes
        in between is not waited for: the little that is due then goes beyond the bound."""
        if self._outlet.full() or not self._lock.acquire(blocking=False):
            return
        try:
            self._send(self._watch.tick(instant(self._clock)), waits=False)
        finally:
            self._lock.release()

    # -- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._guarded_turn()
        except Deposed:
            pass
        except KubeledgerError as error:
            self.failure = error

    def _guarded_turn(self) -> None:
        try:
            self._turn()
        except KubeledgerError:
            raise
        except Exception as error:  # noqa: BLE001 - border of the thread: one object that nobody
            # thought of must not end what is seen of all others; this resource begins anew
            why = f"{type(error).__name__}: {error}"
            self._telemetry.count(metrics.WATCH_FAILURES, resource=self._resource, outcome="bug")
            self._telemetry.event("watch-tripped", level="error", what=self.name, why=why)
            with self._lock:
                self._watch = self._make(_TROUBLE_S)

    def _turn(self) -> None:
        now = instant(self._clock)
        with self._lock:
            request = self._watch.request(now)
            due = self._watch.due
        if request is None:
            self._stopping.wait(min(_IDLE_S, max(0.01, due - now.mono)))
        elif isinstance(request, List):
            with self._lists:
                self._carry(request)
        else:
            self._carry(request)

    def _carry(self, request: Request) -> None:
        if isinstance(request, List):
            self._telemetry.count(metrics.WATCH_LISTS, resource=self._resource)
            headers_s = quiet_s = request.deadline_s
            whole_s: float | None = request.deadline_s
        else:
            headers_s, quiet_s, whole_s = request.open_s, request.quiet_s, None
        try:
            with self._api.open(
                request.path,
                request.params,
                headers_s=headers_s,
                quiet_s=quiet_s,
                whole_s=whole_s,
            ) as answer:
                self._read(answer)
        except ApiFailure as failure:
            self._feed(Broken(failure.outcome, str(failure)))

    def _read(self, answer: Answer) -> None:
        if answer.status != 200:
            self._feed(Refused(answer.status, answer.read(), answer.retry_after_s))
            return
        self._answer = answer  # before the look at `_stopping`, which `stop` sets first
        if self._stopping.is_set():
            return
        try:
            self._feed(Opened())
            for piece in answer.pieces():
                self._feed(piece)
                if self._watch.deaf or self._stopping.is_set():
                    break
        finally:
            self._answer = None
        self._feed(Ended())

    def _feed(self, piece: Piece) -> None:
        if self._stopping.is_set():
            return
        self.heard = self._clock.monotonic()
        with self._lock:
            self._send(self._watch.fed(piece, instant(self._clock)))

    def _send(self, events: list[StateEvent], *, waits: bool = True) -> None:
        self._outlet.send(events, waits=waits)
        if events:
            self._telemetry.count(metrics.WATCH_EVENTS, len(events), resource=self._resource)
        for event in events:
            if event.kind == SYNCED:
                self._tell(event)

    def _tell(self, event: StateEvent) -> None:
        body = event.body
        if body["outcome"] == state.OK:
            if not body.get("upto") and "next_ms" not in body:
                self._telemetry.event("watch-synced", what=self.name, count=body["count"])
            return
        outcome = body["outcome"]
        self._telemetry.count(metrics.WATCH_FAILURES, resource=self._resource, outcome=outcome)
        absent = body.get("status") == 404
        self._telemetry.event(
            "watch-absent" if absent else "watch-failed",
            level="info" if absent else "warn",
            what=self.name,
            outcome=outcome,
            why=body.get("detail", ""),
        )

    @property
    def _resource(self) -> str:
        return self._watch.scope.resource.name
