"""The bus on Apache Kafka, through kafka-python. The rest of the code sees protocol.py only; this
file and its kafka_* neighbours are the one door to the library.
"""

from typing import TYPE_CHECKING, Any

from pipeline.base.clock import Clock, SystemClock
from pipeline.base.errors import Fatal
from pipeline.broker.kafka_options import Options, connect, connection_options
from pipeline.broker.kafka_producer import KafkaBusProducer
from pipeline.broker.trouble import Notice

if TYPE_CHECKING:
    from pipeline.broker.config import BrokerConfig
    from pipeline.broker.kafka_admin import KafkaBusAdmin
    from pipeline.broker.kafka_consumer import KafkaBusConsumer
    from pipeline.broker.kafka_reader import KafkaBusReader


class KafkaBroker:
    """Every call connects a new client, and raises Unavailable when no broker answers; the
    producer alone connects in the background. Each client's code is loaded when it is first
    used: a process that only produces stays small."""

    def __init__(
        self,
        servers: list[str],
        config: "BrokerConfig",
        *,
        notice: Notice | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._servers = servers
        self._config = config
        self._notice = _ignore if notice is None else notice
        self._clock = clock or SystemClock()

    def producer(self) -> KafkaBusProducer:
        return KafkaBusProducer(
            self._options(),
            clock=self._clock,
            notice=self._notice,
            topic_exists=self._topic_exists,
        ).start()

    def consumer(self, group: str) -> "KafkaBusConsumer":
        from kafka import KafkaConsumer

        from pipeline.broker.kafka_consumer import KafkaBusConsumer, group_options

        options = self._options() | group_options(group, self._config.session_timeout_s)
        return KafkaBusConsumer(connect(KafkaConsumer, options), group, self._clock)

    def reader(self) -> "KafkaBusReader":
        from kafka import KafkaConsumer

        from pipeline.broker.kafka_consumer import FETCH_OPTIONS
        from pipeline.broker.kafka_reader import KafkaBusReader

        return KafkaBusReader(connect(KafkaConsumer, self._options() | FETCH_OPTIONS))

    def admin(self) -> "KafkaBusAdmin":
        from kafka import KafkaAdminClient

        from pipeline.broker.kafka_admin import KafkaBusAdmin

        options: dict[str, Any] = self._options()
        for name in ("metrics_enabled", "allow_auto_create_topics"):
            del options[name]  # the library's admin client does not know them
        client = connect(KafkaAdminClient, options)
        return KafkaBusAdmin(client, ",".join(self._servers), self._clock)

    def close(self) -> None:
        """Each client holds its own connections."""

    def _options(self) -> Options:
        return connection_options(self._servers, self._config)

    def _topic_exists(self, topic: str) -> bool:
        """Raises Unavailable when the broker does not say."""
        admin = self.admin()
        try:
            admin.partitions(topic)
        except Fatal:
            return False
        finally:
            admin.close()
        return True


def _ignore(_text: str) -> None:
    """Nobody asked for notices."""
