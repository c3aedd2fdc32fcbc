"""What the processes of test_sqlite_processes.py run. Started with `spawn`, killed with SIGKILL."""

import threading
from concurrent.futures import Future
from pathlib import Path

from pipeline.base.errors import Fenced
from pipeline.broker.protocol import Commit, Position
from pipeline.broker.sqlite import SqliteBroker

SESSION_S = 2.0
TOPIC = "logs"
GROUP = "g"


def produce(path: str, name: str, count: int, acknowledged: str) -> None:
    """Send numbered records; write the number of each acknowledged one to a file."""
    producer = SqliteBroker(Path(path)).producer()
    room = threading.Semaphore(50)
    with open(acknowledged, "ab", buffering=0) as file:

        def note(number: int, future: "Future[Position]") -> None:
            future.result()
            file.write(b"%d\n" % number)
            room.release()

        for number in range(count):
            room.acquire()
            value = b"%s %d " % (name.encode(), number) + bytes(20_000)
            future = producer.send(TOPIC, key=b"%d" % (number % 16), value=value)
            future.add_done_callback(lambda f, n=number: note(n, f))  # type: ignore[misc]
        assert producer.flush(60)
        producer.close(5)


def consume(path: str, seen: str, commit_after: int) -> None:
    """Commit after so many records of a partition; write what was committed to a file, first."""
    consumer = SqliteBroker(Path(path), session_timeout_s=SESSION_S).consumer(GROUP)
    consumer.subscribe([TOPIC], on_assigned=lambda _: None, on_revoked=lambda _: None)
    with open(seen, "ab", buffering=0) as file:
        while True:
            records = consumer.poll(1.0)
            by_partition: dict[int, list[int]] = {}
            for record in records:
                by_partition.setdefault(record.partition, []).append(record.offset)
            for tp in consumer.assignment():
                offsets = by_partition.get(tp.partition, [])[:commit_after]
                if not offsets:
                    continue
                start = consumer.committed(tp) or Commit(0)
                if offsets[0] != start.offset:
                    consumer.seek(tp, start.offset)
                    continue
                try:
                    consumer.commit({tp: Commit(offsets[-1] + 1, f"{offsets[0]}")})
                except Fenced:
                    continue
                consumer.seek(tp, offsets[-1] + 1)
                file.write(b"%d %d %d\n" % (tp.partition, offsets[0], offsets[-1]))
