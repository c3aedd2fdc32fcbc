"""Settings of files in volumes. Each is documented where it is declared; defaults live here."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.base.config import Settings


def _absolute(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError("expected an absolute path without ..")
    return path


Absolute = Annotated[Path, AfterValidator(_absolute)]


class VolumesConfig(Settings):
    """Files that a LogConfig names with `files`, in emptyDir and hostPath volumes. Needs pod
    metadata (`kubelet` or `pods.files`) and reads the topic of log configurations."""

    enabled: bool = Field(False, description="Read them.")
    kubelet_pods: Absolute = Field(
        Path("/var/lib/kubelet/pods"),
        description="The kubelet's directory of pods, for emptyDirs. Their secrets lie there too.",
    )
    host_paths: tuple[Absolute, ...] = Field(
        (),
        description="Below these directories of the node hostPath volumes are read; none if empty.",
    )
    max_files: int = Field(
        100, ge=1, le=10_000, description="Files per pod that are read; others are said and left."
    )
