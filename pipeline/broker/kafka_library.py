"""kafka-python, loaded part by part (pipeline/base/lean.py).

`import kafka` loads its admin, consumer and group code and builds some 80 message classes from
JSON schemas: memory and CPU that a process which only produces, such as the node agent, does not
need. `kafka.KafkaConsumer` and the rest work as ever and load what they need when they are used.
"""

from importlib import import_module
from typing import Any

from pipeline.base.lean import enter

enter("kafka")
enter("kafka.protocol.admin", {"ListGroupsRequest": "groups"})
enter("kafka.protocol.consumer", {"OffsetFetchRequest": "group"})

errors: Any = import_module("kafka.errors")
KafkaNetClient: Any = import_module("kafka.net.compat").KafkaNetClient


def producer_class() -> Any:
    """KafkaProducer, without the consumer and the admin client."""
    return import_module("kafka.producer.kafka").KafkaProducer
