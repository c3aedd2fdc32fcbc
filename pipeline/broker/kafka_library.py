"""kafka-python, loaded part by part (pipeline/base/lean.py).

`import kafka` loads its admin, consumer and group code and builds some 80 message classes from
JSON schemas: memory and CPU that a process which only produces, such as the node agent, does not
need. `kafka.KafkaConsumer` and the rest work as ever and load what they need when they are used.
"""

from collections import deque
from importlib import import_module
from typing import Any

from pipeline.base.lean import enter

enter("kafka")
enter("kafka.protocol.admin", {"ListGroupsRequest": "groups"})
enter("kafka.protocol.consumer", {"OffsetFetchRequest": "group"})

errors: Any = import_module("kafka.errors")
_NetworkSelector: Any = import_module("kafka.net.selector").NetworkSelector
_Manager: Any = import_module("kafka.net.manager").KafkaConnectionManager
_NetClient: Any = import_module("kafka.net.compat").KafkaNetClient


class Connections(_Manager):  # type: ignore[misc]
    """The library's connections. `failures` keeps why the latest of them did not come about: the
    library puts that into its log alone, and raises "unable to bootstrap" for everything."""

    def __init__(self, net: Any, **settings: Any) -> None:
        super().__init__(net, **settings)
        self.failures: deque[BaseException] = deque(maxlen=8)

    def get_connection(self, *words: Any, **options: Any) -> Any:
        connection = super().get_connection(*words, **options)
        if not connection.init_future.is_done:
            connection.init_future.add_errback(self.failures.append)
        return connection


def net_client(**settings: Any) -> Any:
    """The library's network client, over `Connections`."""
    net = _NetworkSelector(**settings)
    return _NetClient(net=net, manager=Connections(net, **settings))


def producer_class() -> Any:
    """KafkaProducer, without the consumer and the admin client."""
    return import_module("kafka.producer.kafka").KafkaProducer
