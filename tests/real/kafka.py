"""A real Apache Kafka node for tests: one KRaft process on loopback, from Maven Central's jars.

The jars are fetched once into a cache outside the repository ($KUBELEDGER_REAL_CACHE, else
~/.cache/kubeledger/kafka-4.2.0). The node dies with the process that started it, however that
ends: the kernel sends it SIGKILL.
"""

import base64
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.base.ports import free_port

VERSION = "4.2.0"
JAVA = 17
_START_S = 90.0
_PR_SET_PDEATHSIG = 1

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{more}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{more}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_SSL,MTLS:SSL
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.segment.bytes=67108864
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=2
"""

# Authentication and rights. Whoever comes without, on loopback, may do everything: the test.
_SECURED = """\
ssl.keystore.type=PEM
ssl.keystore.location={keys}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.mtls.ssl.client.auth=required
listener.name.mtls.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/
listener.name.sasl.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.sasl.scram-sha-512.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-256.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
listener.name.sasl.plain.sasl.jaas.config={jaas}.plain.PlainLoginModule required {plain};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
# Every decision about a right is in the log, also those that are granted.
_TELL_RIGHTS = ("-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug",)
_JAAS = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Secured:
    """Listeners with TLS: one for users with passwords, one for client certificates."""

    ca: Path
    certificate: Path
    key: Path
    users: Mapping[str, str]  # name -> password; none has a right until the test gives it
    sasl_port: int = field(default_factory=free_port)
    mtls_port: int = field(default_factory=free_port)

    @property
    def listeners(self) -> str:
        return f",SASL://127.0.0.1:{self.sasl_port},MTLS://127.0.0.1:{self.mtls_port}"

    def properties(self, directory: Path) -> str:
        keys = directory / "broker.pem"
        keys.touch(mode=0o600)
        keys.write_bytes(self.key.read_bytes() + self.certificate.read_bytes())
        plain = " ".join(f'user_{name}="{word}"' for name, word in self.users.items())
        return _SECURED.format(keys=keys, ca=self.ca, jaas=_JAAS, plain=plain)

    def scram(self) -> list[str]:
        return [
            word
            for name, password in self.users.items()
            for kind in ("SCRAM-SHA-512", "SCRAM-SHA-256")
            for word in ("--add-scram", f"{kind}=[name={name},password={password}]")
        ]


class RealPartMissing(Exception):
    """This machine cannot run a real Kafka; the message says what is missing."""


def start_kafka(directory: Path, port: int = 0, secured: Secured | None = None) -> "KafkaNode":
    """Start a fresh node with its data below `directory`; port 0 takes a free one."""
    jars = _jars()
    directory.mkdir(parents=True, exist_ok=True)
    node = KafkaNode(directory, jars, port or free_port(), free_port(), secured)
    node.format()
    node.start()
    return node


class KafkaNode:
    """Handle of one node. `start` waits until it serves."""

    def __init__(
        self,
        directory: Path,
        jars: Path,
        port: int,
        controller: int,
        secured: Secured | None = None,
    ) -> None:
        self._secured = secured
        self.bootstrap = f"127.0.0.1:{port}"
        self._port = port
        self._controller = controller
        self._directory = directory
        self._jars = jars
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"kafka://{self.bootstrap}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        return self._directory / "server.log"

    def format(self) -> None:
        secured = self._secured
        properties = _PROPERTIES.format(
            port=self._port,
            controller=self._controller,
            data=self._directory / "data",
            more=secured.listeners if secured else "",
        )
        if secured is not None:
            properties += secured.properties(self._directory)
        (self._directory / "server.properties").write_text(properties)
        users = secured.scram() if secured is not None else []
        # an identifier that begins with a dash would be read as an option
        cluster = "K" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        subprocess.run(
            self._java("128m", "kafka.tools.StorageTool", "format", *users, "-t", cluster, "-c"),
            check=True,
            capture_output=True,
            timeout=_START_S,
        )

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._java("512m", "kafka.Kafka"),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the tests; they stop the node
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + _START_S
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Kafka did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """As an operator would: SIGTERM, a clean shutdown."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """As the kernel would: SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Same ports, same data, after `stop`, `kill` or while it runs."""
        self.stop()
        self.log.write_bytes(b"")
        self.start()

    def pause(self) -> None:
        """The node hangs: connections stay open and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # until the last thread stands still

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _java(self, heap: str, *command: str) -> list[str]:
        return [
            "java",
            f"-Xmx{heap}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
            *(_TELL_RIGHTS if self._secured is not None else ()),
            "-cp",
            f"{self._jars}/*",
            *command,
            str(self._directory / "server.properties"),
        ]

    def _serves(self) -> bool:
        if b"Kafka Server started" not in self.log.read_bytes():
            return False
        try:
            socket.create_connection(("127.0.0.1", self._port), 1).close()
        except OSError:
            return False
        return True


def _jars() -> Path:
    """The folder with the jars; fetches them once, also when several test runs begin together."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise RealPartMissing(f"a real Apache Kafka needs `{program}`, which is not installed")
    _check_java()
    base = os.environ.get("KUBELEDGER_REAL_CACHE")
    cache = Path(base) if base else Path.home() / ".cache/kubeledger"
    jars = cache / f"kafka-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"kafka-{VERSION}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (jars / ".complete").exists():
            _fetch(jars)
    return jars


def _fetch(jars: Path) -> None:
    command = ["mvn", "-q", "-B", "-f", str(Path(__file__).with_name("pom.xml"))]
    done = subprocess.run(
        [*command, "dependency:copy-dependencies", f"-DoutputDirectory={jars}"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise RealPartMissing(f"mvn could not fetch Apache Kafka:\n{done.stdout[-1500:]}")
    (jars / ".complete").touch()


def _check_java() -> None:
    said = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found.group(1)) < JAVA:
        raise RealPartMissing(f"a real Apache Kafka needs Java {JAVA} or newer; found: {said[:60]}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
