"""The node agent stays small: what it must not load, and how it gets its settings without."""

import subprocess
import sys
from pathlib import Path

import pytest

from collectors.config import CollectConfig
from pipeline.base.handover import pack, unpack

HEAVY = ("pydantic", "yaml", "click", "rich", "numpy", "chdb", "clickhouse_driver", "urllib3")
FORWARD = ("msgpack", "orjson", "collectors.forward")
PARTS = ("kafka.admin", "kafka.consumer", "kafka.coordinator", "importlib.metadata", "argparse")
AGENT = """
import collectors.agent, collectors.pods.source, pipeline.base.health, pipeline.base.handover
import pipeline.broker.open, pipeline.broker.{bus}
{more}
import sys
print(*sys.modules)
"""


def _loaded(bus: str, more: str = "") -> set[str]:
    program = AGENT.format(bus=bus, more=more)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("bus", ["kafka", "sqlite"])
def test_the_agent_carries_no_library_that_it_does_not_use(bus: str) -> None:
    more = "from pipeline.broker.kafka_library import producer_class; producer_class()"
    loaded = _loaded(bus, more if bus == "kafka" else "")
    assert loaded & {*HEAVY, *PARTS, *FORWARD} == set()
    assert ("kafka.producer.kafka" in loaded) is (bus == "kafka")


def test_the_forward_input_brings_little() -> None:
    loaded = _loaded("kafka", "import collectors.forward.opening")
    assert loaded & {*HEAVY, *PARTS, "asyncio"} == set()
    assert loaded >= set(FORWARD)


def test_what_was_left_out_is_there_when_it_is_asked_for() -> None:
    more = "import kafka; kafka.KafkaConsumer, kafka.KafkaAdminClient; kafka.protocol.admin.acl"
    assert {"kafka.consumer.group", "kafka.admin.client"} <= _loaded("kafka", more)


def test_settings_arrive_as_they_were(tmp_path: Path) -> None:
    config = CollectConfig(
        roots=(tmp_path, Path("/b")),
        host_files=({"glob": "/var/log/messages", "container": "messages"},),
        broker={"url": "kafka://127.0.0.1:9092", "ca_file": tmp_path / "ca.pem"},
    )
    found = unpack(pack(config))
    assert _same(found, config) > 30


def _same(found: object, model: object) -> int:
    """Every attribute, however deep; how many there were."""
    if isinstance(model, tuple):
        assert isinstance(found, list)
        assert len(found) == len(model)
        return sum(_same(one, other) for one, other in zip(found, model, strict=True))
    fields = getattr(type(model), "model_fields", None)
    if fields is None:
        assert (type(found), found) == (type(model), model)
        return 1
    assert vars(found).keys() == fields.keys()
    return sum(_same(getattr(found, name), getattr(model, name)) for name in fields)
