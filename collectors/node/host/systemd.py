"""What systemd says of the kubelet's and the runtime's units, and whether it says anything at all.

A systemd whose D-Bus connection is broken (cause pleg.dbus) runs everything else well, so silence
is a finding of its own: `{"outcome": "timeout"}`. Interface: org.freedesktop.systemd1(5).

State: the last answer, repeated until the next one is due.
"""

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from collectors.node.aside import Aside, Late
from pipeline.contract.state import OK, REFUSED, TIMEOUT

if TYPE_CHECKING:
    from collectors.node.host.bus import Bus

ABSENT = "absent"
_MANAGER, _PATH = "org.freedesktop.systemd1.Manager", "/org/freedesktop/systemd1"
_UNIT, _SERVICE = "org.freedesktop.systemd1.Unit", "org.freedesktop.systemd1.Service"
_PROPERTIES = (
    (_UNIT, "LoadState"),
    (_UNIT, "ActiveState"),
    (_UNIT, "SubState"),
    (_UNIT, "ActiveEnterTimestamp"),
    (_SERVICE, "MainPID"),
    (_SERVICE, "NRestarts"),
)
# The name has no owner, or nothing may talk to it: there is no systemd for us.
_NOBODY = ("ServiceUnknown", "NameHasNoOwner", "AccessDenied", "Spawn.")


class Systemd:
    """`begin`, then `take`; `now` is monotonic seconds."""

    def __init__(
        self, path: str, *, units: Sequence[str], deadline_s: float, every_s: float
    ) -> None:
        self._path = path
        self._units = tuple(units)
        self._deadline_s = deadline_s
        self._every_s = every_s
        self._aside = Aside(self._ask, name="systemd")
        self._next = float("-inf")
        self._answer: dict[str, Any] | None = None  # None: being asked

    def begin(self, now: float) -> None:
        if now >= self._next:
            self._next, self._answer = now + self._every_s, None
            self._aside.begin()

    def take(self, wait_s: float) -> dict[str, Any]:
        """{"systemd": …, "units": …}, the latter only when it answered."""
        if self._answer is None:
            try:
                self._answer = self._aside.take(wait_s)
            except (Late, OSError) as error:
                late = isinstance(error, Late | TimeoutError)
                outcome = {"outcome": TIMEOUT} if late else _refused(error)
                self._answer = {"systemd": outcome}
        return self._answer

    def _ask(self) -> dict[str, Any]:
        if not os.path.exists(self._path):
            return {"systemd": {"outcome": ABSENT}}
        from collectors.node.host.bus import Bus, BusError

        began = time.monotonic()
        try:
            with Bus(self._path, deadline_s=self._deadline_s) as bus:
                units = _units(bus, self._units)
        except BusError as error:
            nobody = any(word in error.name for word in _NOBODY)
            if not nobody:
                raise OSError(str(error)) from error
            return {"systemd": {"outcome": ABSENT, "detail": str(error)[:200]}}
        ms = round((time.monotonic() - began) * 1000)
        return {"systemd": {"outcome": OK, "ms": ms}, "units": units}


def _refused(error: Exception) -> dict[str, str]:
    return {"outcome": REFUSED, "detail": f"{type(error).__name__}: {error}"[:200]}


def _units(bus: "Bus", names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Units that exist; raises BusError when nobody answers for systemd."""
    from collectors.node.host.bus import BusError, method

    asked = [method(_PATH, _MANAGER, "GetUnit", signature="s", body=(name,)) for name in names]
    found = {}
    for name, reply in zip(names, bus.call(asked), strict=True):
        if isinstance(reply, BusError):
            if reply.name.endswith("NoSuchUnit"):
                continue
            raise reply
        unit = _unit(bus, str(reply[0]))
        if unit is not None:
            found[name] = unit
    return found


def _unit(bus: "Bus", path: str) -> dict[str, Any] | None:
    """None: it is named by other units only, or was never started and is not meant to run."""
    from collectors.node.host.bus import BusError, method

    replies = bus.call(
        [
            method(
                path, "org.freedesktop.DBus.Properties", "Get", signature="ss",
                body=(interface, name),
            )
            for interface, name in _PROPERTIES
        ]
    )  # fmt: skip
    values = {
        name: reply[0][1]  # a variant: (signature, value)
        for (_, name), reply in zip(_PROPERTIES, replies, strict=True)
        if not isinstance(reply, BusError)
    }
    active, since = values.get("ActiveState"), values.get("ActiveEnterTimestamp", 0)
    loaded = values.get("LoadState", "loaded") not in ("not-found", "masked")
    if active is None or not loaded or (active == "inactive" and not since):
        return None
    unit = {
        "active": active,
        "sub": values.get("SubState"),
        "main_pid": values.get("MainPID") or None,
        "restarts": values.get("NRestarts"),  # since systemd 235
        "since_ms": since // 1000 or None,
    }
    return {key: value for key, value in unit.items() if value is not None}
