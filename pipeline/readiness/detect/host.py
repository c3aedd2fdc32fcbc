"""What the host itself tells, when the kubelet cannot: stopped or vanished daemons, stuck shims and
runc processes, tasks in uninterruptible sleep, silent systemd, hanging mounts, full disks, clocks,
and containers that all fell silent in the same second.

Silence is evidence: the runtime relays stdout, so a frozen runtime silences every container of
the node at once, while a broken application silences itself.

State per node: boot id, which daemons were seen, when the silence began.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.state import (
    DELETED,
    GROWTH,
    HOST,
    OBJECT,
    OK,
    SAMPLE,
    TICK,
    StateEvent,
)
from pipeline.readiness.detector import Scene
from pipeline.readiness.world import node_entity

RUNTIMES = ("containerd", "dockerd", "crio")
DSTATE_S = 30  # shorter waits for a disk are ordinary
CLOCK_S = 5.0
FULL = 0.03  # share of a file system left
CONNTRACK = 0.9
SILENT_MS = 15_000
DARK_MS = 40_000  # eight samples missed
_OWN_PROBER = "kubeledger-stat"  # asks mounts that may hang; not what they hang on
_ALIVE = ("S", "R", "I")
_NOTHING: Mapping[str, Any] = {}
_PSI = {"cpu": 90.0, "memory": 40.0, "io": 60.0}  # avg10 of `some`, per cent


_TROUBLE = frozenset(
    f"host/{name}"
    for name in (
        "runtime-stopped", "runtime-gone", "kubelet-stopped", "kubelet-gone", "shim-stuck",
        "runc-old", "dstate", "mount-hangs", "disk-full", "systemd-silent",
        "runtime-unit-failed", "kubelet-unit-failed", "clock-skew", "conntrack-full", "pressure",
    )
)  # fmt: skip


@dataclass(slots=True)
class HostState:
    boot_id: str = ""
    daemons: dict[str, int] = field(default_factory=dict)  # name -> pid last seen
    heard: int = 0  # event time of the last sample, of whatever part
    plain: tuple[Any, ...] = ()  # what it looked like when last looked at closely, and all was well


@dataclass(slots=True)
class HostsState:
    nodes: dict[str, HostState] = field(default_factory=dict)


class Host:
    NAME = "host"
    ATOMS: Mapping[str, str] = {
        "host/runtime-stopped": "the container runtime's process is stopped or in state D",
        "host/runtime-gone": "the container runtime's process is gone",
        "host/runtime-restarted": "the container runtime's process was replaced",
        "host/runtime-runs": "the container runtime's process runs",
        "host/kubelet-stopped": "the kubelet's process is stopped or in state D",
        "host/kubelet-gone": "the kubelet's process is gone",
        "host/kubelet-restarted": "the kubelet's process was replaced",
        "host/shim-stuck": "a container's shim is stopped or in state D",
        "host/runc-old": "a runc process has been running for long",
        "host/dstate": "processes have been in uninterruptible sleep for 30 s",
        "host/mount-hangs": "a file system does not answer statvfs",
        "host/disk-full": "a file system is almost full",
        "host/systemd-silent": "systemd does not answer on D-Bus",
        "host/systemd-answers": "systemd answers on D-Bus",
        "host/runtime-unit-failed": "the runtime's systemd unit is not active",
        "host/kubelet-unit-failed": "the kubelet's systemd unit is not active",
        "host/clock-skew": "the node's clock is off, or not synchronised",
        "host/conntrack-full": "the connection tracking table is almost full",
        "host/pressure": "tasks wait for CPU, memory or I/O most of the time (PSI)",
        "host/rebooted": "the node was rebooted",
        "host/logs-silent": "all containers that were logging fell silent in the same second",
        "host/logs-flow": "containers of the node are logging",
        "host/dark": "nothing on the node reports any more, the collector neither",
    }
    READS = ((SAMPLE, ""), (OBJECT, "nodes"), (TICK, ""))

    def __init__(self) -> None:
        self.state = HostsState()

    def see(self, event: StateEvent, scene: Scene) -> None:
        if event.kind == TICK:
            self._dark(scene)
            return
        body, now = event.body, scene.now
        if event.kind == OBJECT:
            if body["type"] == DELETED:
                self.state.nodes.pop(body["object"]["metadata"]["name"], None)
            return
        node, part = body["node"], body["part"]
        host = self.state.nodes.get(node)
        if host is None:
            host = self.state.nodes[node] = HostState()
        unheard, host.heard = now - host.heard, now
        if unheard >= DARK_MS:
            self._back(host, node_entity(node), scene)
        if part == HOST:
            values = body.get("values") or {}
            if body["outcome"] == OK and not (host.plain and _plain(values) == host.plain):
                self._host(host, node_entity(node), values, scene)
        elif part == GROWTH and body["outcome"] == OK:
            self._growth(node_entity(node), body.get("values") or {}, event.t, scene)

    def _dark(self, scene: Scene) -> None:
        late = scene.now - DARK_MS
        for name, host in self.state.nodes.items():
            if host.heard <= late:
                self._went_dark(node_entity(name), host.heard, scene)

    @staticmethod
    def _went_dark(entity: str, heard: int, scene: Scene) -> None:
        """What the node last said of itself is no longer known to be true."""
        if not scene.book.has(entity, "host/dark"):
            for atom, subjects in list(scene.book.atoms(entity).items()):
                if atom.startswith(("metric/", "host/")):
                    for subject in list(subjects):
                        scene.clear(entity, atom, subject=subject)
        quote = f"no sample for {(scene.now - heard) / 1000:.0f} s"
        scene.hold(entity, "host/dark", quote, since=heard)

    @staticmethod
    def _back(host: HostState, entity: str, scene: Scene) -> None:
        """It is heard again, if it was dark."""
        if scene.book.has(entity, "host/dark"):
            scene.clear(entity, "host/dark")
            host.plain = ()

    def _host(self, host: HostState, entity: str, values: Mapping[str, Any], scene: Scene) -> None:
        """It is not as it was, or was not well."""
        self._boot(host, entity, values, scene)
        if "daemons" in values:
            self._daemons(host, entity, values["daemons"], scene)
        self._stuck(entity, values, scene)
        self._systemd(entity, values, scene)
        self._limits(entity, values, scene)
        well = _TROUBLE.isdisjoint(scene.book.atoms(entity))
        host.plain = _plain(values) if well else ()

    def _growth(self, entity: str, values: Mapping[str, Any], t: int, scene: Scene) -> None:
        """`t`: when it was said, by the clock that says since when, too."""
        silent = values.get("silent") or {}
        since = silent.get("since_ms", t)
        true = bool(silent) and t - since >= SILENT_MS
        if true:
            quote = f"{silent.get('containers', 0)} containers, all that were logging, fell silent"
            scene.hold(entity, "host/logs-silent", quote, since=since)
            scene.clear(entity, "host/logs-flow")
        elif not silent:
            scene.clear(entity, "host/logs-silent")
            flow = scene.now - values.get("newest_ms", 0) < SILENT_MS
            scene.set(entity, "host/logs-flow", flow, f"{values.get('active', 0)} containers log")

    def _boot(self, host: HostState, entity: str, values: Mapping[str, Any], scene: Scene) -> None:
        boot = values.get("boot_id", "")
        if boot and host.boot_id and boot != host.boot_id:
            scene.point(entity, "host/rebooted", f"boot id {host.boot_id} is now {boot}")
            scene.transition("boot", entity, host.boot_id, boot, reason="Rebooted")
            host.daemons.clear()
        host.boot_id = boot or host.boot_id

    def _daemons(
        self, host: HostState, entity: str, daemons: Mapping[str, Any], scene: Scene
    ) -> None:
        runtime = next((name for name in RUNTIMES if name in daemons), None)
        known = next((name for name in RUNTIMES if name in host.daemons), None)
        for role, name in (("runtime", runtime or known), ("kubelet", "kubelet")):
            if name is None:
                continue
            found, pid = daemons.get(name), host.daemons.get(name)
            state = (found or {}).get("state", "")
            quote = f"{name} pid {(found or {}).get('pid')} is in state {state}"
            scene.set(entity, f"host/{role}-stopped", state in ("T", "t", "D"), quote)
            gone = found is None and pid is not None
            scene.set(entity, f"host/{role}-gone", gone, f"{name} (pid {pid}) is gone")
            if role == "runtime":
                scene.set(entity, "host/runtime-runs", state in _ALIVE, quote)
            if found and pid and found["pid"] != pid:
                scene.point(entity, f"host/{role}-restarted", f"{name} {pid} is now {found['pid']}")
            if found:
                host.daemons[name] = found["pid"]

    def _stuck(self, entity: str, values: Mapping[str, Any], scene: Scene) -> None:
        self._several(entity, "host/shim-stuck", values.get("shims") or (), scene)
        self._several(entity, "host/runc-old", values.get("runc") or (), scene)
        tasks = [
            task
            for task in values.get("dstate") or ()
            if task.get("for_s", 0) >= DSTATE_S and task.get("comm") != _OWN_PROBER
        ]
        self._several(entity, "host/dstate", tasks, scene)

    @staticmethod
    def _several(entity: str, atom: str, found: Any, scene: Scene) -> None:
        """One subject for each process; those that are no longer there are cleared."""
        now = {_subject(process): process for process in found}
        for subject in list(scene.book.atoms(entity).get(atom, ())):
            if subject not in now:
                scene.clear(entity, atom, subject=subject)
        for subject, process in now.items():
            words = (f"{key} {process[key]}" for key in sorted(process) if key != "stack")
            scene.hold(entity, atom, ", ".join(words), subject=subject)

    def _systemd(self, entity: str, values: Mapping[str, Any], scene: Scene) -> None:
        outcome = (values.get("systemd") or {}).get("outcome", "")
        scene.set(entity, "host/systemd-silent", outcome == "timeout", "no answer on D-Bus")
        scene.set(entity, "host/systemd-answers", outcome == OK, "systemd answers")
        failed = {"runtime": "", "kubelet": ""}
        for unit, state in (values.get("units") or {}).items():
            role = "kubelet" if unit.startswith("kubelet") else "runtime"
            if state.get("active") in ("failed", "inactive") or state.get("sub") == "auto-restart":
                failed[role] = f"{unit} is {state.get('active')}/{state.get('sub')}"
        for role, quote in failed.items():
            scene.set(entity, f"host/{role}-unit-failed", bool(quote), quote)

    def _limits(self, entity: str, values: Mapping[str, Any], scene: Scene) -> None:
        hangs, full = [], []
        for mount, fs in (values.get("fs") or {}).items():
            if fs.get("outcome"):
                hangs.append(mount)
            elif fs.get("size") and fs.get("free", 0) / fs["size"] < FULL:
                full.append(f"{mount} {100 * fs['free'] / fs['size']:.1f} % free")
        scene.set(entity, "host/mount-hangs", bool(hangs), f"{', '.join(hangs)} hangs")
        scene.set(entity, "host/disk-full", bool(full), ", ".join(full))
        clock = values.get("clock") or {}
        skew = abs(clock.get("offset_s", 0.0)) > CLOCK_S
        scene.set(entity, "host/clock-skew", skew, f"clock offset {clock.get('offset_s', 0):.1f} s")
        table = values.get("conntrack") or {}
        crowded = table.get("max", 0) > 0 and table.get("count", 0) / table["max"] > CONNTRACK
        scene.set(entity, "host/conntrack-full", crowded, f"conntrack {table}")
        psi = values.get("psi") or {}
        high = [
            f"{name} {psi[name]['some_avg10']:.0f} %"
            for name, bound in _PSI.items()
            if psi.get(name, {}).get("some_avg10", 0) > bound
        ]
        scene.set(entity, "host/pressure", bool(high), f"PSI {', '.join(high)}")


def _plain(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the values come to when nothing in them needs a closer look; empty otherwise."""
    get = values.get
    if get("shims") or get("runc") or get("dstate"):
        return ()
    for fs in (get("fs") or _NOTHING).values():
        if fs.get("outcome") or fs.get("free", 0) < FULL * fs.get("size", 0):
            return ()
    psi = get("psi") or _NOTHING
    for name, bound in _PSI.items():
        if name in psi and psi[name].get("some_avg10", 0) > bound:
            return ()
    table, clock = get("conntrack"), get("clock")
    if table and table.get("count", 0) > CONNTRACK * table.get("max", 0):
        return ()
    if clock and abs(clock.get("offset_s", 0.0)) > CLOCK_S:
        return ()
    plain = [get("boot_id", ""), (get("systemd") or _NOTHING).get("outcome", "")]
    for name, daemon in (get("daemons") or _NOTHING).items():
        plain += (name, daemon["pid"], daemon["state"] in _ALIVE)
    for name, unit in (get("units") or _NOTHING).items():
        plain += (name, unit.get("active"), unit.get("sub"))
    return tuple(plain)


def _subject(process: Mapping[str, Any]) -> str:
    """Who it belongs to if that is known, else the process itself."""
    pod = process.get("pod")
    if pod:
        return str(pod)
    return f"pid {process.get('pid')}"
