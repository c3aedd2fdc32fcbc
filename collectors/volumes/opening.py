"""Wires files in volumes: the feed of wishes, the pods, and the look at directories."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from collectors.config_topic import ConfigTopic
from collectors.logs.watch import Watch
from collectors.volumes.feed import WishFeed
from collectors.volumes.files import KnownPods, VolumeFiles
from pipeline.base.errors import UsageError
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Broker

if TYPE_CHECKING:
    from collectors.config import CollectConfig


@contextmanager
def open_volumes(
    config: "CollectConfig", *, broker: Broker, pods: object, watch: Watch, telemetry: Telemetry
) -> Iterator[VolumeFiles]:
    """`pods` must know what pods there are. Raises UsageError."""
    if not isinstance(pods, KnownPods):
        raise UsageError(
            "volumes.enabled needs to know the pods of this node: set kubelet.url or pods.files"
        )
    feed = WishFeed(telemetry)
    with ConfigTopic(broker, telemetry, feed.learn) as configs:
        yield VolumeFiles(
            config.volumes,
            node=config.node,
            feed=feed,
            loaded=lambda: configs.loaded,
            pods=pods,
            watch=watch,
            telemetry=telemetry,
        )
