"""Settings of host facts. Each is documented where it is declared; defaults live here."""

from pathlib import Path

from pydantic import Field

from pipeline.base.config import Settings


class HostConfig(Settings):
    """Where the host's own facts are read. In a container: where its /proc, its disks and its bus
    are mounted. What is not there is not reported."""

    proc: Path = Field(Path("/proc"), description="The host's procfs.")
    root: Path = Field(
        Path("/"), description="Where the host's root file system is seen; disks are below it."
    )
    bus: Path = Field(
        Path("/run/dbus/system_bus_socket"), description="Socket of the host's D-Bus system bus."
    )
    disks: tuple[Path, ...] = Field(
        (
            Path("/var/lib/kubelet"),
            Path("/var/lib/containerd"),
            Path("/var/lib/docker"),
            Path("/var/lib/containers"),
            Path("/var/log"),
        ),
        description="Paths of the host whose file systems are measured; absent ones are left out.",
    )
    disk_deadline_s: float = Field(
        1.0, gt=0, le=2, description="A file system that takes longer to answer is said to hang."
    )
    units: tuple[str, ...] = Field(
        ("kubelet.service", "containerd.service", "docker.service", "crio.service"),
        description="systemd units that are asked for; unknown ones are left out.",
    )
    systemd_deadline_s: float = Field(
        2.0, gt=0, le=3, description="systemd is silent when it takes longer to answer."
    )
    systemd_every_s: float = Field(
        10.0, ge=1, description="How often systemd is asked; its answer is repeated in between."
    )
