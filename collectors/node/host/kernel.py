"""Single figures of the kernel: pressure, load, memory, tables, clock, boot. Each is absent when
its file is; nothing here can block.

Sources: Documentation/accounting/psi.rst, proc_loadavg(5), proc_meminfo(5), proc_sys_kernel(5),
nf_conntrack-sysctl.rst, adjtimex(2).
"""

from pathlib import Path
from typing import Any

from collectors.node.host.processes import text

_PSI = ("cpu", "memory", "io")
_STA_UNSYNC, _STA_NANO, _TIME_ERROR = 0x0040, 0x2000, 5  # linux/timex.h
_TIMEX_LONGS = 64  # struct timex is smaller; all that is read of it are longs and one int


def figures(proc: str) -> dict[str, Any]:
    """`values` of part host that are read from single files."""
    found = {
        "psi": _psi(proc),
        "load": _load(proc),
        "memory": _memory(proc),
        "conntrack": _conntrack(proc),
        "pids": _pids(proc),
        "clock": clock(),
        "boot_id": text(f"{proc}/sys/kernel/random/boot_id").strip(),
        "uptime_s": uptime(proc),
    }
    return {key: value for key, value in found.items() if value}


def uptime(proc: str) -> float:
    """Seconds since boot, suspended time included; 0 when not known."""
    return _number(text(f"{proc}/uptime").partition(" ")[0])


def boot_time(proc: str) -> int:
    """Unix seconds; 0 when not known."""
    for line in text(f"{proc}/stat", 1 << 20).splitlines()[::-1]:
        if line.startswith("btime "):
            return int(_number(line[6:]))
    return 0


def _psi(proc: str) -> dict[str, dict[str, float]]:
    found = {}
    for resource in _PSI:
        averages = {}
        for line in text(f"{proc}/pressure/{resource}").splitlines():
            words = line.split()
            for word in words[1:]:
                if word.startswith("avg10="):
                    averages[f"{words[0]}_avg10"] = _number(word[6:])
        if averages:
            found[resource] = averages
    return found


def _load(proc: str) -> list[float]:
    words = text(f"{proc}/loadavg").split()
    return [_number(word) for word in words[:3]] if len(words) >= 3 else []


def _memory(proc: str) -> dict[str, int]:
    names = {"MemTotal:": "total", "MemAvailable:": "available"}
    found = {}
    for line in text(f"{proc}/meminfo").splitlines():
        words = line.split()
        if words and words[0] in names:
            found[names[words[0]]] = int(_number(words[1])) * 1024
    return found


def _conntrack(proc: str) -> dict[str, int]:
    """Of the network namespace that this process is in: the host's, if it shares that."""
    if _elsewhere(proc, "net"):
        return {}
    base = f"{proc}/sys/net/netfilter/nf_conntrack"
    count, most = text(f"{base}_count").strip(), text(f"{base}_max").strip()
    return {"count": int(count), "max": int(most)} if count.isdigit() and most.isdigit() else {}


def _elsewhere(proc: str, namespace: str) -> bool:
    """Is this process known to be in another namespace than the host's first process?"""
    try:
        host = Path(f"{proc}/1/ns/{namespace}").readlink()
        return host != Path(f"/proc/self/ns/{namespace}").readlink()
    except OSError:
        return False


def _pids(proc: str) -> dict[str, int]:
    """`running` are all tasks, threads too: they share the limit."""
    found = {}
    limits = [text(f"{proc}/sys/kernel/{name}").strip() for name in ("pid_max", "threads-max")]
    numbers = [int(limit) for limit in limits if limit.isdigit()]
    if numbers:
        found["max"] = min(numbers)
    tasks = text(f"{proc}/loadavg").split()
    if len(tasks) >= 4 and (running := tasks[3].partition("/")[2]).isdigit():
        found["running"] = int(running)
    return found


def clock() -> dict[str, Any]:
    """adjtimex(2) with nothing to set: what the kernel's clock discipline knows. `offset_s` is what
    it has still to correct; chrony and others that step or slew by themselves leave it at 0."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    buffer = (ctypes.c_long * _TIMEX_LONGS)()  # modes = 0: read only
    try:
        state = library.adjtimex(ctypes.byref(buffer))
    except AttributeError:
        return {}
    if state < 0:
        return {}  # refused, as by a seccomp profile
    # struct timex: modes, offset, freq, maxerror, esterror, status, …; ints are padded to longs
    # on 64 bits, and are longs on 32.
    offset, status = buffer[1], ctypes.c_int.from_buffer(buffer, 5 * ctypes.sizeof(ctypes.c_long))
    unit = 1e-9 if status.value & _STA_NANO else 1e-6
    synchronised = state != _TIME_ERROR and not status.value & _STA_UNSYNC
    return {"offset_s": round(offset * unit, 9), "synchronised": synchronised}


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return 0.0
