"""A node whose pods write files into their volumes; wishes and pods are told by hand."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from collectors.volumes.feed import WishFeed
from collectors.volumes.files import VolumeFiles
from pipeline.contract.configs import ConfigVersion
from pipeline.contract.record import PodVersion
from tests.collectors.rig import UID, Rig

POD = UID.format(7)


def pod(**mounts: str) -> PodVersion:
    """`main` sees what is told by name at /NAME."""
    seen = {f"/{name}": place for name, place in mounts.items()}
    return PodVersion(POD, "web-7", "shop", "n1", 0, labels={"app": "web"}, mounts={"main": seen})


def wished(*files: str, generation: int = 1, **spec: Any) -> ConfigVersion:
    thing = {
        "kind": "LogConfig",
        "metadata": {"name": "files", "namespace": "shop"},
        "spec": {"files": list(files), **spec},
    }
    return ConfigVersion("c1", generation, 0, object=thing)


def refuse(patch: pytest.MonkeyPatch, code: int, name: str) -> None:
    """Opening what is called that fails."""
    opened = os.open

    def refusing(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == name:
            raise OSError(code, os.strerror(code), path)
        return opened(path, *args, **kwargs)

    patch.setattr("collectors.volumes.beneath.os.open", refusing)


@dataclass
class Pods:
    pods: list[PodVersion] = field(default_factory=list)
    listed: int = 1

    def known(self) -> list[PodVersion]:
        return self.pods

    def version(self, uid: str) -> int | None:
        return 0


class VolumeRig(Rig):
    """`kubelet` is the kubelet's directory of pods, `volume` the pod's emptyDir `logs`."""

    def __init__(self, tmp: Path, **volumes: Any) -> None:
        (tmp / "pods").mkdir()
        self.kubelet = tmp / "kubelet"
        settings = {"enabled": True, "kubelet_pods": self.kubelet, **volumes}
        super().__init__(tmp / "pods", tmp / "state", volumes=settings)
        self.volume = self.kubelet / POD / "volumes" / "kubernetes.io~empty-dir" / "logs"
        self.volume.mkdir(parents=True)
        self.known = Pods([pod(logs="logs")])
        self.feed = WishFeed(self.telemetry)

    def start(self) -> "VolumeRig":
        super().start()
        self.agent._files._volumes = VolumeFiles(
            self.config.volumes,
            node="n1",
            feed=self.feed,
            loaded=lambda: True,
            pods=self.known,
            watch=self.watch,
            telemetry=self.telemetry,
        )
        return self

    def write(self, name: str, text: str) -> bytes:
        path = self.volume / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as out:
            out.write(text.encode())
        return text.encode()

    def read(self) -> dict[str, list[bytes]]:
        """path -> contents of its files, in the order in which they were begun."""
        found: dict[str, list[bytes]] = {}
        for file in self.files().values():
            found.setdefault(file.events[0].source.path, []).append(file.content())
        return found

    def unread(self) -> list[str]:
        return self.said("volume-unread")

    def said(self, name: str) -> list[str]:
        return [str(fields["why"]) for event, fields in self.telemetry.events if event == name]
