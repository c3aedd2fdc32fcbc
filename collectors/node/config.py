"""Settings of the node's samples. Each is documented where it is declared; defaults live here."""

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from collectors.bounds import KIB, MIB
from collectors.node.blackbox.config import BlackBoxConfig
from collectors.node.host.config import HostConfig
from pipeline.base.config import Settings

_EVERY = "How often, in seconds; 0: never."


class SuspicionConfig(Settings):
    """When the node is looked at more often."""

    pleg_age_s: float = Field(
        20.0, gt=0, description="Suspicious when kubelet_pleg_last_seen_seconds is older than this."
    )
    relist_stall_s: float = Field(
        20.0, gt=0, description="Suspicious when no relist was finished for this long."
    )
    timeouts: int = Field(
        2, ge=1, description="Suspicious when /metrics did not answer this many times in a row."
    )
    every_s: float = Field(
        1.0, gt=0, description="How often /metrics and /healthz are asked while suspicious."
    )
    calm_s: float = Field(
        30.0, ge=0, description="The faster pace goes on for this long after the last reason."
    )
    fast_for_s: float = Field(
        600.0, gt=0, description="After this long the pace is the ordinary one, whatever stands."
    )


class BoxConfig(BlackBoxConfig):
    """The black box, and when it is started."""

    enabled: bool = Field(
        True, description="Probe the CRI socket and keep evidence when the node is suspicious."
    )
    every_s: float = Field(600.0, ge=60, description="No more often than this, however suspicious.")


class CanaryConfig(Settings):
    """Timed TCP connects from this node, so that a broken direction can be named. An address is
    HOST:PORT or NAME=HOST:PORT; a host name that stands for many addresses, such as a headless
    service, is fine where several are wanted."""

    enabled: bool = Field(False, description="True: connect to the targets below.")
    every_s: float = Field(30.0, ge=1, description="How often.")
    deadline_s: float = Field(2.0, gt=0, le=30, description="For each connect.")
    apiserver: str = Field(
        "", description="HOST:PORT; empty: KUBERNETES_SERVICE_HOST and _PORT of the environment."
    )
    dns: str = Field("", description="HOST:PORT; empty: the first nameserver of /etc/resolv.conf.")
    metadata: str = Field("", description="HOST:PORT of the cloud's metadata service, if wanted.")
    kubelets: tuple[str, ...] = Field(
        (), description="Kubelet ports of other nodes; two are chosen by this node's name."
    )
    pods: tuple[str, ...] = Field(
        (), description="Ports of pods on other nodes; one is chosen by this node's name."
    )

    @field_validator("apiserver", "dns", "metadata")
    @classmethod
    def _one(cls, address: str) -> str:
        return _address(address) if address else address

    @field_validator("kubelets", "pods")
    @classmethod
    def _many(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_address(address) for address in addresses)


class NodeConfig(Settings):
    """What is asked of this node's kubelet and of the node itself, and how often. The kubelet is
    the one of `kubelet.url`; without it nothing of this section happens."""

    enabled: bool = Field(True, description="False: ship logs, sample nothing.")
    healthz_url: str = Field(
        "http://127.0.0.1:10248/healthz",
        description="The kubelet's health port, which takes no token; empty: /healthz of "
        "kubelet.url, which needs `get` on nodes/healthz (before 1.33: nodes/proxy).",
    )
    metrics_s: float = Field(5.0, ge=0, description=f"/metrics: PLEG, runtime calls. {_EVERY}")
    healthz_s: float = Field(5.0, ge=0, description=f"/healthz?verbose. {_EVERY}")
    host_s: float = Field(5.0, ge=0, description=f"Host facts: pressure, disks, tasks. {_EVERY}")
    probes_s: float = Field(15.0, ge=0, description=f"/metrics/probes: failing probes. {_EVERY}")
    resource_s: float = Field(15.0, ge=0, description=f"/metrics/resource. {_EVERY}")
    growth_s: float = Field(15.0, ge=0, description=f"When container logs last grew. {_EVERY}")
    stats_s: float = Field(60.0, ge=0, description=f"/stats/summary: file systems. {_EVERY}")
    configz_s: float = Field(3600.0, ge=0, description=f"/configz: its settings. {_EVERY}")
    deadline_s: float = Field(
        4.0, gt=0, le=60, description="For a whole answer, however it trickles."
    )
    slow_deadline_s: float = Field(
        10.0, gt=0, le=60, description="The same for /stats/summary and /configz."
    )
    patient_deadline_s: float = Field(
        170.0,
        ge=0,
        le=600,
        description="For the second /metrics request, sent when the first kind times out: longer "
        "than the kubelet's runtime request time-out, so that a late answer tells one stuck "
        "container from a stuck relist. 0: none is sent.",
    )
    refused_s: float = Field(
        60.0, gt=0, description="A part that RBAC forbids is asked for no more often than this."
    )
    suspicion: SuspicionConfig = Field(SuspicionConfig(), description="When to look closer.")
    host: HostConfig = Field(HostConfig(), description="Where the host's facts are read.")
    blackbox: BoxConfig = Field(BoxConfig(), description="The black box.")
    canary: CanaryConfig = Field(CanaryConfig(), description="The path canary.")
    queue_bytes: int = Field(
        4 * MIB,
        ge=256 * KIB,
        description="Samples kept while the bus is away; past it the oldest are dropped, counted.",
    )

    @field_validator("healthz_url")
    @classmethod
    def _clear_text(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme != "http" or not parts.hostname):
            raise ValueError("must be http://HOST:PORT/healthz, or empty to ask kubelet.url")
        return url


def _address(text: str) -> str:
    host, _, port = text.rpartition("=")[2].rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{text!r} is not HOST:PORT, for example 10.0.0.1:6443")
    return text
