"""A real Apache Kafka that wants TLS, and knows who may do what: passwords, client certificates,
and the rights of deploy/kafka/acls.csv, which are enough for every service and not more."""

import csv
import gc
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from pipeline.base.clock import SystemClock
from pipeline.base.errors import Fatal, Unavailable
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
from pipeline.console.embedded import EmbeddedPipeline, Inputs
from pipeline.contract.topics import LOGS, STATE, TopicSpec, topic_specs
from tests.collectors.cluster.fake_api import FakeApi
from tests.collectors.cluster.fake_store import FakeStore
from tests.journeys.command import wait_for
from tests.journeys.test_real_tree import RECORDED
from tests.real.authority import Authority
from tests.real.kafka import KafkaNode, Secured, start_kafka

pytestmark = [
    pytest.mark.real,
    # kafka-python leaves the socket of a failed connection attempt to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),
]

ACLS = Path(__file__).parents[2] / "deploy/kafka/acls.csv"
GRANTED = [dict(row) for row in csv.DictReader(ACLS.read_text().splitlines())]
USERS = sorted({row["user"] for row in GRANTED})
SERVICES = ("collect", "watch", "process-logs", "process-state", "alert")
DECISION = re.compile(
    r"Principal = User:(\S+) is (\w+) operation = (\w+) from host = \S+ on resource ="
    r" (\w+):\w+:(\S+) for request = "
)
PLEG_LINE = (
    'E1126 05:38:26.114102    1211 kubelet.go:2500] "Skipping pod synchronization" err="PLEG is not'
    ' healthy: pleg was last seen active 3m1.5s ago; threshold is 3m0s"\n'
)
NOT_READY = {
    "type": "Ready",
    "status": "False",
    "reason": "KubeletNotReady",
    "message": "PLEG is not healthy: pleg was last seen active 3m1.5s ago; threshold is 3m0s",
    "lastHeartbeatTime": "2026-11-25T10:00:00Z",
    "lastTransitionTime": "2026-11-25T10:00:00Z",
}


class Decision(NamedTuple):
    """One line of Kafka's log about who may do what."""

    user: str
    decision: str  # Allowed or Denied
    operation: str
    kind: str  # of resource: Topic, Group, Cluster
    name: str


@dataclass
class Lab:
    """The node, and how each user gets there."""

    node: KafkaNode
    secured: Secured
    authority: Authority
    folder: Path

    def by_password(self, user: str, **more: object) -> BrokerConfig:
        password = self.folder / f"{user}.password"
        password.write_text(self.secured.users.get(user, "?") + "\n")
        settings = {
            "url": f"kafka://127.0.0.1:{self.secured.sasl_port}",
            "security": "sasl_tls",
            "ca_file": self.authority.ca,
            "username": user,
            "password_file": password,
        }
        return BrokerConfig.model_validate(settings | more)

    def by_certificate(self, user: str, **more: object) -> BrokerConfig:
        certificate, key = self.authority.issue(user)
        settings = {
            "url": f"kafka://127.0.0.1:{self.secured.mtls_port}",
            "security": "tls",
            "ca_file": self.authority.ca,
            "cert_file": certificate,
            "key_file": key,
        }
        return BrokerConfig.model_validate(settings | more)

    def grant(self, user: str, kind: str, name: str, operations: str) -> None:
        """As `kafka-acls.sh` does; a name that ends with a dot is a prefix."""
        pattern = ResourcePattern(
            ResourceType[kind.upper()],
            name,
            ACLResourcePatternType.PREFIXED if name.endswith(".") else
            ACLResourcePatternType.LITERAL,
        )  # fmt: skip
        client = KafkaAdminClient(bootstrap_servers=self.node.bootstrap)
        try:
            made = client.create_acls([
                ACL(f"User:{user}", "*", operation_of(word), ACLPermissionType.ALLOW, pattern)
                for word in operations.split()
            ])  # fmt: skip
            assert not made["failed"]
        finally:
            client.close()

    def decisions(self) -> set[Decision]:
        return {Decision(*found) for found in DECISION.findall(self.node.log.read_text())}


def operation_of(word: str) -> ACLOperation:
    return ACLOperation[re.sub(r"(?<!^)(?=[A-Z])", "_", word).upper()]


@pytest.fixture(scope="module")
def lab(kafka: KafkaNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Asking for `kafka` skips, or fails, in one place when this machine cannot run one."""
    assert kafka.bootstrap
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder / "ca")
    certificate, key = authority.issue("broker", "127.0.0.1")
    passwords = {user: f"pass-of-{user}" for user in (*USERS, "tester")}
    secured = Secured(authority.ca, certificate, key, passwords)
    node = start_kafka(folder / "kafka", secured=secured)
    made = Lab(node, secured, authority, folder)
    try:
        made.grant("tester", "topic", "t", "Read Write")
        made.grant("tester", "group", "g", "Read")
        broker = open_broker(BrokerConfig(url=node.url))
        admin = broker.admin()
        admin.ensure([TopicSpec("t", 1, 48, compacted=False)], create=True)
        admin.close()
        broker.close()
        yield made
    finally:
        node.stop()


@pytest.fixture(autouse=True)
def collect_here() -> Iterator[None]:
    """While the filter above holds."""
    yield
    gc.collect()
    gc.collect()


@pytest.mark.parametrize("how", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "certificate"])
def test_records_pass_by_every_way_in(lab: Lab, how: str) -> None:
    config = (
        lab.by_certificate("tester")
        if how == "certificate"
        else lab.by_password("tester", sasl_mechanism=how)
    )
    broker = open_broker(config)
    producer, consumer = broker.producer(), broker.consumer("g")
    try:
        consumer.subscribe(["t"], on_assigned=lambda _: None, on_revoked=lambda _: None)
        wait_for(lambda: not consumer.poll(0.2) and bool(consumer.assignment()), "a member")
        place = producer.send("t", key=b"k", value=how.encode()).result(30)
        found = []
        wait_for(lambda: found.extend(consumer.poll(0.2)) or place.offset in
                 [record.offset for record in found], "it is read")  # fmt: skip
        assert (found[-1].offset, found[-1].value) == (place.offset, how.encode())
    finally:
        producer.close(5)
        consumer.close()
        broker.close()


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ("password", (Fatal, Unavailable), "check user(,| and) password file"),
        ("ca", Unavailable, "CERTIFICATE_VERIFY_FAILED.*check broker.ca_file"),
        ("name", Unavailable, "not valid for 'localhost'.*the name in broker.url"),
        ("no certificate", Unavailable, "refuses our certificate: check broker.cert_file"),
        ("certificate", Unavailable, "refuses our certificate: check broker.cert_file"),
        ("plaintext", Unavailable, "is broker.security what this port expects"),
        ("tls", Unavailable, "is broker.security what this port expects"),
    ],
)
def test_what_is_wrong_is_said(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, kind: Any, words: str
) -> None:
    monkeypatch.setattr("pipeline.broker.kafka_options.BOOTSTRAP_MS", 3_000)
    stranger = Authority(tmp_path, "stranger")
    foreign = stranger.issue("tester")
    bad = tmp_path / "bad"
    bad.write_text("guess\n")
    config = {
        "password": lambda: lab.by_password("tester", password_file=bad),
        "ca": lambda: lab.by_password("tester", ca_file=stranger.ca),
        "name": lambda: lab.by_password("tester", url=f"kafka://localhost:{lab.secured.sasl_port}"),
        "no certificate": lambda: lab.by_certificate("tester", cert_file=None, key_file=None),
        "certificate": lambda: lab.by_certificate(
            "tester", cert_file=foreign[0], key_file=foreign[1]
        ),
        "plaintext": lambda: BrokerConfig(url=f"kafka://127.0.0.1:{lab.secured.sasl_port}"),
        "tls": lambda: BrokerConfig(url=lab.node.url, security="tls", ca_file=lab.authority.ca),
    }[wrong]()
    notices: list[str] = []
    broker = open_broker(config, notice=notices.append)
    producer = broker.producer()
    try:
        # A try that had no time to learn it says that nobody answered: the next one knows more.
        refusals: list[str] = []

        def refused() -> bool:
            with pytest.raises(kind) as caught:
                broker.reader()
            refusals.append(str(caught.value))
            return re.search(words, refusals[-1]) is not None

        wait_for(refused, "it is said")
        wait_for(lambda: any(re.search(words, said) for said in notices), "by the producer, too")
        assert "guess" not in f"{refusals} {notices}"
    finally:
        producer.close(0.1)
        broker.close()


def test_a_user_without_rights_is_told(lab: Lab) -> None:
    broker = open_broker(lab.by_password("migrate"))
    producer = broker.producer()
    try:
        with pytest.raises(Fatal, match="topic t does not exist, or this user may not see it"):
            producer.send("t", key=b"k", value=b"v").result(30)
    finally:
        producer.close(1)
        broker.close()


def test_the_rights_of_acls_csv_are_enough_and_not_more(lab: Lab, tmp_path: Path) -> None:
    """Every service with a user of its own; then Kafka's log of each decision is read."""
    for row in GRANTED:
        lab.grant(row["user"], row["resource"], row["name"], row["operations"])
    broker = open_broker(lab.by_password("migrate"))
    admin = broker.admin()
    admin.ensure(topic_specs(2), create=True)
    admin.ensure(topic_specs(2), create=True)  # as they should be
    admin.close()
    broker.close()
    settings = {
        service: {"broker": {**yaml.safe_load(lab.by_password(service).model_dump_json()),
                             "session_timeout_s": 6}}
        for service in SERVICES
    }  # fmt: skip
    settings["collect"] |= {"volumes": {"enabled": True}}  # reads what is wished
    settings["alert"] |= {
        "receivers": [{"name": "nobody", "type": "webhook", "url": "http://127.0.0.1:1/"}],
        "retry": {"first_s": 0.1, "give_up": "1s"},
    }
    journal = tmp_path / "kubelet.log"
    journal.write_text(PLEG_LINE)
    api = FakeStore()
    api.put("/apis/kubeledger.io/v1alpha1/logconfigs", "a", "shop", spec={"prase": {}})
    api.put("/api/v1/nodes", "node-a", status={"conditions": [NOT_READY]})
    with FakeApi(api) as server:
        inputs = Inputs(
            roots=(RECORDED / "container-logs",),
            node="node-a",
            host_files=((str(journal), "kubelet"),),
            pod_files=(RECORDED / "pods.json",),
            kubelet={"url": "https://127.0.0.1:1", "insecure_skip_verify": True},
            kubeconfig=server.kubeconfig(tmp_path),
        )
        with EmbeddedPipeline(
            tmp_path / "data", inputs, clock=SystemClock(), bus=lab.node.url, settings=settings
        ) as pipeline:
            test = open_broker(BrokerConfig(url=lab.node.url))
            producer = test.producer()
            producer.send(LOGS, key=b"k", value=b"no chunk").result(30)
            producer.send(STATE, key=b"k", value=b"no event").result(30)
            producer.close(5)
            test.close()
            wait_for(lambda: not pipeline.check() and not unused(lab), "every right is used", 120)
            wait_for(lambda: pipeline.waiting_bytes() == 0 and not pipeline.lag(), "stored", 60)
    denied = {one for one in lab.decisions() if one.user in SERVICES and one.decision == "Denied"}
    assert denied == set()


# Used when a namespace is over its quota: tests/pipeline/test_quotas_embedded.py.
RARE = {("process-logs", "topic", "kubeledger.configs", "Write")}


def unused(lab: Lab) -> set[tuple[str, str, str, str]]:
    """(user, resource, name, operation) that are granted and that nobody has asked for."""
    asked = lab.decisions()
    return {
        right
        for row in GRANTED
        for word in row["operations"].split()
        if (right := (row["user"], row["resource"], row["name"], word)) not in RARE
        and not any(
            (one.user, one.kind.lower(), one.operation)
            == (row["user"], row["resource"], operation_of(word).name)
            and (one.name == row["name"] or row["name"] == one.name[: one.name.find(".") + 1])
            for one in asked
        )
    }
