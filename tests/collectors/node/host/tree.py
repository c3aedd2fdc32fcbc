"""A procfs made by hand: just the files that are read."""

import os
from pathlib import Path

HZ = os.sysconf("SC_CLK_TCK")
UPTIME_S = 5000.0
BOOT = 1_795_000_000
POD = "7b1c0a52-3f0e-4c39-9a55-0d7a51a0c001"
CONTAINER = "0123456789abcdef" * 4
CGROUP = f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice/cri-containerd-{CONTAINER}.scope\n"  # noqa: E501


class Tree:
    """Begins as a quiet node with one process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.write("uptime", f"{UPTIME_S} 9000.1\n")
        self.write("stat", f"cpu  1 2 3\nintr 5 6\nctxt 77\nbtime {BOOT}\nprocesses 12\n")
        self.process(1, "systemd", age_s=UPTIME_S)

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def process(
        self,
        pid: int,
        comm: str,
        *,
        state: str = "S",
        ppid: int = 1,
        age_s: float = 100.0,
        cgroup: str = "0::/system.slice\n",
        wchan: str = "0",
        switches: int = 10,
        command: tuple[str, ...] = (),
        under: str = "",
    ) -> None:
        """`under`: the process that it is a thread of, such as `12/task/`."""
        start = round((UPTIME_S - age_s) * HZ)
        fields = f"{pid} ({comm}) {state} {ppid} 1 1 0 -1 4194560 5 0 0 0 1 1 0 0 20 0 1 0 {start}"
        for base in {f"{under}{pid}", f"{pid}"}:
            self.write(f"{base}/stat", fields + " 1234 55 18446744073709551615\n")
            self.write(f"{base}/cgroup", cgroup)
            self.write(f"{base}/wchan", wchan)
            self.write(f"{base}/cmdline", "".join(f"{word}\0" for word in command))
            self.write(
                f"{base}/status",
                f"Name:\t{comm}\nvoluntary_ctxt_switches:\t{switches}\n"
                "nonvoluntary_ctxt_switches:\t1\n",
            )

    def end(self, pid: int) -> None:
        for file in (self.path / str(pid)).iterdir():
            file.unlink()
        (self.path / str(pid)).rmdir()
