"""What an evaluator noted of whom it told, or was about to tell: every version, in order."""

from collections.abc import Iterator
from contextlib import closing

from alerts.notify import Notice, read_notice
from pipeline.broker.protocol import Broker, TopicPartition
from pipeline.contract.alerts import NOTICE, decode_change
from pipeline.contract.topics import ALERTS

_STATE = TopicPartition(ALERTS, 0)


def notices(broker: Broker) -> Iterator[tuple[str, Notice]]:
    """(group, what its receiver knows)."""
    with closing(broker.reader()) as reader:
        reader.assign([_STATE])
        while reader.position(_STATE) < reader.end_offset(_STATE):
            for record in reader.poll(1.0):
                change = decode_change(record.key, record.value)
                if change.kind == NOTICE:
                    _, group, notice = read_notice(change)
                    yield group, notice or Notice()
