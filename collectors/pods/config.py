"""Settings of pod metadata. Each is documented where it is declared; defaults live here."""

from pathlib import Path

from pydantic import Field

from pipeline.base.config import Settings


class PodsConfig(Settings):
    """Where labels, owners and images come from: the kubelet (collectors/kubelet/config.py says
    where it is), or files. With neither, rows carry what the log path says: namespace, pod, uid,
    container."""

    timeout_s: float = Field(
        default=10.0, gt=0, le=120, description="The kubelet's whole answer must be there by then."
    )
    refresh_s: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        description="How often all pods are read; new ones are read at once.",
    )
    files: tuple[Path, ...] = Field(
        default=(), description="PodList, List or Pod JSON: files, or directories of *.json files."
    )
