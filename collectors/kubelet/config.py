"""Settings of the way to this node's kubelet. Pod metadata and the node's samples share it."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pipeline.base.config import Settings


class KubeletConfig(Settings):
    """Where the kubelet is, who we are, and whom we believe."""

    url: str = Field(
        default="", description="https://HOST:10250 of this node's kubelet; empty: do not ask it."
    )
    token_file: Path | None = Field(
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount/token"),
        description="Bearer token, read again for every request because it rotates.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="CA of the kubelet's serving certificate; the system's CAs if absent.",
    )
    server_name: str = Field(
        default="",
        description="Name in the kubelet's certificate, when it is not the host of the URL.",
    )
    insecure_skip_verify: bool = Field(
        default=False,
        description="Accept any certificate. Whoever answers then gets the token: labs only.",
    )
    max_body_bytes: int = Field(
        default=32 << 20, ge=1 << 16, description="A longer answer of the kubelet is refused."
    )

    @field_validator("url")
    @classmethod
    def _https_only(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError("must be https://HOST:PORT: the token must not travel in clear text")
        if parts.username or parts.password:
            raise ValueError("must not carry a user or password; use token_file")
        return url.rstrip("/")
