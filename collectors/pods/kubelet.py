"""GET /pods of this node's kubelet."""

from typing import TYPE_CHECKING

from collectors.kubelet.client import KubeletClient, KubeletFailure

if TYPE_CHECKING:
    from collectors.pods.config import PodsConfig


class PodList:
    """The kubelet's own list of its pods."""

    def __init__(self, client: KubeletClient, config: "PodsConfig") -> None:
        self._client = client
        self._config = config

    def fetch(self) -> str:
        """The text of the PodList. Raises KubeletFailure, never anything else."""
        body = self._client.wanted(
            "/pods", deadline_s=self._config.timeout_s, accept="application/json"
        )
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise KubeletFailure("not-json", f"/pods is not UTF-8: {error}") from error
