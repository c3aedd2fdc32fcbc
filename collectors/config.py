"""Settings of the node collector. Each is documented where it is declared; defaults live here."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from collectors.bounds import GIB, KIB, MAX_CHUNK_RAW, MIB
from collectors.forward.config import ForwardConfig
from collectors.journal.config import JournalConfig
from collectors.kubelet.config import KubeletConfig
from collectors.node.config import NodeConfig
from collectors.pods.config import PodsConfig
from collectors.volumes.config import VolumesConfig
from pipeline.base.config import Settings
from pipeline.broker.config import BrokerConfig
from pipeline.contract import topics


def _pattern(text: str) -> str:
    directory, name = os.path.split(text)
    if set(directory) & set("*?") or not name:
        raise ValueError("expected a path with wildcards in its last part only")
    return text


class HostFiles(Settings):
    """Plain files of the node itself, such as /var/log/messages."""

    glob: Annotated[str, AfterValidator(_pattern)] = Field(
        description="Absolute pattern; wildcards in the last part only.", min_length=2
    )
    container: str = Field(
        description="Program name that the lines are filed under.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
    )


class ReadingConfig(Settings):
    """How files are watched and cut into chunks."""

    chunk_bytes: int = Field(
        512 * KIB, ge=4 * KIB, le=MAX_CHUNK_RAW, description="Raw bytes that a chunk aims at."
    )
    linger_s: float = Field(
        0.25, ge=0, le=1, description="A smaller chunk of the same file leaves after this long."
    )
    tick_s: float = Field(
        0.1, gt=0, le=1, description="How often files that are being written are measured."
    )
    quiet_s: float = Field(
        3.0, gt=0, le=60, description="A file silent for this long is left to inotify."
    )
    sweep_s: float = Field(
        5.0, gt=0, le=5, description="How often everything is looked at, whatever inotify said."
    )
    poll_s: float = Field(
        1.0, gt=0, le=5, description="How often quiet files are measured without inotify."
    )
    inotify: bool = Field(True, description="False: poll, as where inotify is not to be had.")


class LimitsConfig(Settings):
    """Bounds. At the first two the collector stops reading: the files are the buffer."""

    unacked_bytes: int = Field(
        32 * MIB, ge=MAX_CHUNK_RAW, description="Raw bytes handed over and not yet acknowledged."
    )
    unacked_compressed_bytes: int = Field(
        8 * MIB, ge=MAX_CHUNK_RAW, description="The same, compressed: this is memory."
    )
    unacked_records: int = Field(
        1000, ge=1, description="Records that are not acknowledged; small ones cost memory, too."
    )
    held_bytes: int = Field(
        1 * GIB,
        ge=0,
        description="Size of deleted files kept open to be read to their end; past it the oldest "
        "are given up with a gap record.",
    )


class RotationConfig(Settings):
    """What the kubelet is told about rotation, for the forecast of loss only."""

    max_size_bytes: int = Field(10 * MIB, gt=0, description="containerLogMaxSize.")
    max_files: int = Field(5, ge=2, description="containerLogMaxFiles.")
    warn_s: float = Field(
        300.0, gt=0, description="Warn when unread lines would be rotated away sooner than this."
    )


class CollectConfig(Settings):
    """`kubeledger collect`."""

    node: Annotated[str, Field(min_length=1)] = Field(
        default_factory=lambda: os.uname().nodename,
        description="Name of the node as Kubernetes knows it; the host name if absent.",
    )
    cluster: str = Field(
        "-",
        min_length=1,
        max_length=253,
        description="Name of the cluster: the key of this node's records on kubeledger.state.",
    )
    roots: tuple[Path, ...] = Field(
        (Path("/var/log/pods"),), description="Directories laid out as the kubelet does."
    )
    host_files: tuple[HostFiles, ...] = Field((), description="Plain files to ship as well.")
    journal: JournalConfig = Field(
        JournalConfig(), description="Logs of the node that are in no file."
    )
    forward: ForwardConfig = Field(
        ForwardConfig(), description="Logs from Fluentd, Fluent Bit and fluent-logger clients."
    )
    volumes: VolumesConfig = Field(
        VolumesConfig(), description="Files in volumes of pods, as LogConfigs wish them."
    )
    state_dir: Path = Field(
        Path("kubeledger-data/collect"), description="Where the positions journal is kept."
    )
    broker: BrokerConfig = Field(BrokerConfig(), description="The bus.")
    topic: str = Field(
        topics.LOGS,
        pattern=r"^[a-zA-Z0-9._-]{1,249}$",
        description="Where chunks go. Log processors read the default; another name is for trials.",
    )
    kubelet: KubeletConfig = Field(
        KubeletConfig(), description="This node's kubelet: for pod metadata and for samples."
    )
    samples: NodeConfig = Field(
        NodeConfig(), description="What is asked of the kubelet and of the node, and how often."
    )
    pods: PodsConfig = Field(PodsConfig(), description="Where pod metadata comes from.")
    health: str = Field(
        "127.0.0.1:9600", description="HOST:PORT of /healthz and /metrics; empty: none."
    )
    reading: ReadingConfig = Field(ReadingConfig(), description="Watching and cutting.")
    limits: LimitsConfig = Field(LimitsConfig(), description="Bounds.")
    rotation: RotationConfig = Field(RotationConfig(), description="For the forecast.")
    pod_wait_s: float = Field(
        2.0, ge=0, le=60, description="The first chunk of a pod waits this long for its metadata."
    )
    stop_timeout_s: float = Field(
        10.0, gt=0, le=300, description="On SIGTERM: wait at most this long for acknowledgements."
    )
    health_bound_s: float = Field(
        60.0, gt=0, description="/healthz is bad when bytes wait and none was taken for this long."
    )
