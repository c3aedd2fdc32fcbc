"""Settings of node journals. Each is documented where it is declared; defaults live here."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from collectors.bounds import KIB, MIB
from pipeline.base.config import Settings

Unit = Annotated[str, Field(pattern=r"^[A-Za-z0-9:_.@-]+\.(service|socket|scope|timer|mount)$")]


class JournalConfig(Settings):
    """Logs of the node's daemons and of its kernel, where they are in journald or in no file."""

    source: Literal["off", "auto", "journald", "kmsg"] = Field(
        "off",
        description="Where they are: journald; kmsg, the kernel's own buffer, without daemons; "
        "auto: journald if there is one, else kmsg.",
    )
    command: str = Field(
        "journalctl", min_length=1, description="Program that reads the journal, or its path."
    )
    directory: Path | None = Field(
        None, description="Where the node's journal is mounted; absent: where journalctl looks."
    )
    units: tuple[Unit, ...] = Field(
        ("kubelet.service", "containerd.service", "docker.service", "crio.service"),
        description="Each becomes a log of its own, called after the unit without its ending.",
    )
    systemd: bool = Field(True, description="What systemd itself says, as log `systemd`.")
    kernel: bool = Field(True, description="What the kernel says, as log `kernel`.")
    backlog_lines: int = Field(
        10_000, ge=0, le=1_000_000, description="Entries from before the very first start."
    )
    held_bytes: int = Field(
        2 * MIB,
        ge=256 * KIB,
        description="Read and not yet acknowledged; past it the journal is not read on.",
    )
    file_bytes: int = Field(
        256 * MIB, ge=1 * MIB, description="The ledger begins a new file of a log after so much."
    )
    mark_s: float = Field(
        30.0, gt=0, le=3600, description="How often the place is noted for logs that are silent."
    )
