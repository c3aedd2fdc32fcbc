"""Settings of the black box. Each is documented where it is declared; defaults live here."""

from pathlib import Path

from pydantic import Field, model_validator

from collectors.bounds import KIB
from pipeline.base.config import Settings

# Where runtimes listen by default; of several that exist the first that speaks CRI is taken.
_SOCKETS = (
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
    "/var/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/run/dockershim.sock",
)


class ProgramLog(Settings):
    """Where the last lines of a program are: a file, or the journal."""

    program: str = Field(description="The name that the lines are reported under.", min_length=1)
    path: Path | None = Field(None, description="Its log file, as this process sees it.")
    unit: str = Field("", description="Its systemd unit, for the journal; needs journalctl.")

    @model_validator(mode="after")
    def _one(self) -> "ProgramLog":
        if (self.path is None) == (not self.unit):
            raise ValueError(f"{self.program}: give either path or unit")
        return self


class BlackBoxConfig(Settings):
    """The short-lived process that asks the container runtime's socket, and what it keeps."""

    sockets: tuple[Path, ...] = Field(
        (), description="CRI sockets as this process sees them; empty: the kubelet's, the usual."
    )
    usual_sockets: tuple[Path, ...] = Field(
        tuple(Path(path) for path in _SOCKETS),
        description="Tried below host.root when `sockets` is empty.",
    )
    call_s: float = Field(2.0, gt=0, le=10, description="Deadline of each call to the runtime.")
    parallel: int = Field(8, ge=1, le=32, description="Calls under way at a time, at most.")
    total_s: float = Field(
        45.0,
        ge=20,
        le=90,
        description="The whole run. Calls have 15 s less; those not made are counted.",
    )
    stats: bool = Field(
        True,
        description="Ask ContainerStats too: of containerd's calls the one that needs the shim, so "
        "the one that a stuck shim shows in.",
    )
    logs: tuple[ProgramLog, ...] = Field(
        (
            ProgramLog(program="kubelet", unit="kubelet.service"),
            ProgramLog(program="containerd", unit="containerd.service"),
            ProgramLog(program="dockerd", unit="docker.service"),
            ProgramLog(program="crio", unit="crio.service"),
        ),
        description="Programs whose last lines are kept.",
    )
    lines: int = Field(200, ge=0, le=1000, description="Lines kept of each program.")
    journal_dir: Path | None = Field(
        None, description="Directory of the host's journal; journalctl's own default if absent."
    )
    mount_s: float = Field(
        1.0, gt=0, le=5, description="A network or FUSE mount that takes longer is said to hang."
    )
    goroutine_dump: bool = Field(
        False,
        description="True: when the runtime hangs, SIGUSR1 to containerd and dockerd, which then "
        "write their goroutines to their log. Needs the host's pid namespace.",
    )
    max_bytes: int = Field(
        256 * KIB, ge=32 * KIB, le=512 * KIB, description="Of the whole result; the rest is cut."
    )
