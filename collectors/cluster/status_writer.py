"""The watcher's only writes besides its Lease: statuses of LogConfigs and ClusterLogConfigs.

A merge patch (RFC 7386) of the status subresource, by who leads, some seconds after something
changed. What cannot be written is said once and tried again later: nothing depends on it.
"""

import json
import threading
from collections.abc import Callable

from collectors.cluster.api import ApiFailure, ApiServer
from collectors.cluster.log_status import StatusBook
from pipeline.base.clock import Clock
from pipeline.base.telemetry import Telemetry
from pipeline.contract.configs import ConfigVersion, errors_in
from pipeline.contract.state import StateEvent
from pipeline.logconfig.objects import ConfigObject
from pipeline.logconfig.spec import GROUP, VERSION

_DEADLINE_S = 10.0
_AGAIN_S = 300.0  # after a refusal


class StatusWriter:
    """`see` may be called from any thread; `step` writes, from one."""

    def __init__(
        self,
        api: ApiServer,
        *,
        leads: Callable[[], bool],
        telemetry: Telemetry,
        clock: Clock,
        every_s: float,
    ) -> None:
        self._api = api
        self._leads = leads
        self._telemetry = telemetry
        self._clock = clock
        self._every_s = every_s
        self._book = StatusBook()
        self._lock = threading.Lock()
        self._due = clock.monotonic() + every_s

    def see(self, event: StateEvent) -> None:
        with self._lock:
            self._book.see(event)

    def learn(self, version: ConfigVersion) -> None:
        """What the log processors tell. From any thread."""
        if (errors := errors_in(version)) is not None:
            with self._lock:
                self._book.failed(errors)

    def step(self) -> None:
        """Write what is due. Never raises for what the API server says."""
        now = self._clock.monotonic()
        if now < self._due or not self._leads():
            return
        self._due = now + self._every_s
        with self._lock:
            wall_ms = self._clock.wall_ns() // 1_000_000
            if not (self._book.calmed(wall_ms) or self._book.dirty):
                return
            due = list(self._book.due(wall_ms))
        for config, resource, status in due:
            refused = self._write(config, resource, json.dumps({"status": status}).encode())
            if refused:
                self._telemetry.event("status-refused", "warn", of=config.origin, why=refused)
                self._due = now + _AGAIN_S
                return

    def _write(self, config: ConfigObject, resource: str, body: bytes) -> str:
        """Why it could not be written, or nothing."""
        where = f"/namespaces/{config.namespace}" if config.namespace else ""
        path = f"/apis/{GROUP}/{VERSION}{where}/{resource}/{config.name}/status"
        try:
            reply = self._api.call("PATCH", path, body=body, deadline_s=_DEADLINE_S)
        except ApiFailure as failure:
            return str(failure)
        if reply.status in (200, 404):  # 404: gone meanwhile
            return ""
        return f"{reply.status} {reply.body[:200].decode('utf-8', 'replace')}"
