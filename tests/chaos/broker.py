"""The bus under attack: a real Kafka node with an address for each client, or the bus's file."""

import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipeline.base.ports import free_port
from tests.real.kafka import KafkaNode, _die_with_parent, _jars


class ChaosKafka(KafkaNode):
    """One node, several listeners: a Kafka client goes where the broker says that it is, so each
    client that shall be cut off alone needs an advertised address of its own. Starting does not
    wait, so that the harness can go on meanwhile."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, _jars(), free_port(), free_port())

    def advertise(self, doors: Sequence[tuple[str, int, int]]) -> None:
        """Doors are (name, port to listen on, port to advertise)."""
        path = self._directory / "server.properties"
        lines = []
        for line in path.read_text().splitlines():
            key = line.partition("=")[0]
            for name, port, advertised in doors:
                if key in ("listeners", "advertised.listeners"):
                    shown = port if key == "listeners" else advertised
                    line += f",{name}://127.0.0.1:{shown}"
                elif key == "listener.security.protocol.map":
                    line += f",{name}:PLAINTEXT"
            lines.append(line)
        path.write_text("\n".join(lines) + "\n")

    def spawn(self) -> None:
        """Start again, same ports, same data, without waiting."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._java("512m", "kafka.Kafka"),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def serves(self) -> bool:
        return self._process is not None and self._serves()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None


class BusLock:
    """Somebody holds the embedded bus's write lock: the nearest thing to a broker that hangs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: sqlite3.Connection | None = None

    def take(self) -> bool:
        """False: somebody else has it just now."""
        connection = sqlite3.connect(self._path, timeout=5, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            connection.close()  # busy: the next accident comes soon
            return False
        self._held = connection
        return True

    def release(self) -> None:
        if self._held is not None:
            self._held.execute("ROLLBACK")
            self._held.close()
            self._held = None
