"""Log configurations in the processor: what is stored, what is shed, and that every byte is one or
the other, wherever the processor dies."""

import json

import pytest

from pipeline.broker.protocol import TopicPartition
from pipeline.contract.configs import ConfigVersion, decode_config, encode_config, errors_in
from pipeline.contract.metrics import REDACTED, SHED_ROWS
from pipeline.contract.record import PodVersion, encode_pod
from pipeline.contract.topics import CONFIGS, PODS
from tests.models.processor_rig import Crash, World, settings


def line(text: str, second: int = 3, stream: str = "stdout") -> bytes:
    return f"2026-11-23T05:35:{second:02d}.1Z {stream} F {text}\n".encode()


def world() -> World:
    return World(partitions=1, config=settings())


def config(made: World, spec: dict, *, since: int = 0, generation: int = 1, **other) -> None:
    thing = {
        "kind": other.pop("kind", "LogConfig"),
        "metadata": {"name": other.get("uid", "c1"), "namespace": "shop"},
        "spec": spec,
    }
    version = ConfigVersion(other.pop("uid", "c1"), generation, since, object=thing, **other)
    put(made, version)


def put(made: World, version: ConfigVersion) -> None:
    made.producer.send(CONFIGS, key=version.key, value=encode_config(version)).result(0)


def bodies(made: World) -> list[bytes]:
    return [row["body"] for row in sorted(made.store.rows(), key=lambda row: row["off"])]


def accounted(made: World) -> None:
    """Each byte of each file is in one row, or was shed once."""
    for file_id, data in made.files.items():
        rows = [row for row in made.store.rows() if row["file_id"] == file_id]
        shed = [row for row in made.store.rows("shed") if row["file_id"] == file_id]
        assert len({row["off"] for row in rows}) == len(rows)
        total = sum(r["nbytes"] for r in rows) + sum(s["bytes"] for s in shed)
        assert total == len(data)


def test_secrets_are_replaced_and_the_bytes_stay_those_of_the_file() -> None:
    made = world()
    config(
        made,
        {"redact": {"presets": ["email"], "patterns": [{"name": "订单", "pattern": "单号\\d+"}]}},
    )
    made.member()
    made.write(2, line("mail to a.b@example.com") + line("单号12345 ok") + line("plain"))
    made.settle()
    expected = ["mail to [redacted:email]", "[redacted:订单] ok", "plain"]
    assert bodies(made) == [text.encode() for text in expected]
    assert {made.telemetry.values[REDACTED.name, (rule,)] for rule in ("email", "订单")} == {1}
    accounted(made)


def test_what_counts_is_what_was_valid_when_the_bytes_were_read() -> None:
    made = world()
    now = made.clock.wall_ns() // 1_000_000
    config(made, {"excludeLines": ["drop"]}, since=now + 10_000)
    config(made, {"excludeLines": ["gone"]}, since=now + 20_000, generation=2)
    put(made, ConfigVersion("c1", 0, now + 30_000, deleted=True))
    for _ in range(4):
        made.write(2, line("drop") + line("gone"))
        made.clock.advance(10)
    made.member()
    made.settle()
    assert bodies(made) == [b"drop", b"gone", b"gone", b"drop", b"drop", b"gone"]
    assert {row["reason"] for row in made.store.rows("shed")} == {b"filtered"}
    accounted(made)


def test_a_share_is_stored_with_weights_and_errors_always() -> None:
    made = world()
    config(made, {"sample": {"rate": 0.25}})
    made.member()
    made.write(2, b"".join(line(f"request {n}") for n in range(400)) + line("ERROR payment failed"))
    made.settle()
    rows = made.store.rows()
    assert b"ERROR payment failed" in bodies(made)
    assert 60 < len(rows) < 140
    assert {row["weight"] for row in rows} == {1.0, 4.0}
    assert abs(sum(row["weight"] for row in rows) - 401) < 120
    assert made.telemetry.values[SHED_ROWS.name, ("sampled",)] == 401 - len(rows)
    accounted(made)


def test_above_the_limit_lines_are_sampled_down_to_it() -> None:
    made = world()
    config(made, {"limit": {"bytesPerSecond": 100, "burstBytes": 1000}})
    made.member()
    made.write(2, b"".join(line(f"noise {n:04d}") for n in range(200)) + line("panic: x"))
    made.settle()
    kept = sum(row["nbytes"] for row in made.store.rows())
    assert 500 < kept < 2500
    assert {row["reason"] for row in made.store.rows("shed")} == {b"limited"}
    assert sum(row["weight"] for row in made.store.rows()) == pytest.approx(201, rel=0.5)
    accounted(made)


def test_fields_of_a_named_format_and_a_flag_where_a_line_is_not_in_it() -> None:
    made = world()
    config(made, {"parse": {"format": "regex", "pattern": "^(?P<code>\\d+) "},
                  "attributes": {"team": "支付"}})  # fmt: skip
    made.member()
    made.write(2, line("200 fine") + line("what"))
    made.settle()
    found = [json.loads(row["fields"]) for row in made.store.rows()]
    assert found == [
        {"code": "200", "team": "支付"},
        {"kubeledger.unparsed": "regex", "team": "支付"},
    ]


def test_a_bad_configuration_is_a_flag_and_the_line_is_stored() -> None:
    made = world()
    config(made, {"parse": {"format": "jsn"}})
    made.producer.send(CONFIGS, key=b"x", value=b"{").result(0)
    made.member()
    made.write(2, line("still here"))
    made.settle()
    assert bodies(made) == [b"still here"]
    assert "spec" not in json.loads(made.store.rows()[0]["fields"])
    assert "parse.format" in json.loads(made.store.rows()[0]["fields"])["kubeledger.config"]
    assert "configs.bad" in made.telemetry.names()


def test_annotations_and_a_start_of_records() -> None:
    made = world()
    notes = {"kubeledger.io/multiline": "start:^BEGIN", "kubeledger.io/exclude": "stderr"}
    pod = PodVersion("uid-2", "web-2", "shop", "node-1", 6, annotations=notes)
    made.producer.send(PODS, key=b"uid-2", value=encode_pod(pod)).result(0)
    made.member()
    made.write(2, line("BEGIN a") + line("more") + line("no", stream="stderr") + line("BEGIN b"),
               pod_version=6)  # fmt: skip
    made.end(2)
    made.settle()
    assert bodies(made) == [b"BEGIN a\nmore", b"BEGIN b"]
    accounted(made)


@pytest.mark.parametrize("doubted", [False, True], ids=["by token", "careful"])
def test_every_byte_is_stored_or_shed_once_wherever_it_dies(doubted: bool) -> None:
    died = 0
    for after in range(1, 16):
        made = world()
        config(made, {"sample": {"rate": 0.5}, "excludeLines": ["secret"],
                      "limit": {"bytesPerSecond": 200, "burstBytes": 400}})  # fmt: skip
        for part in range(2):
            made.write(
                2, b"".join(line(f"a {n} secret"[: 3 + n % 9]) for n in range(part, part + 9))
            )
            made.write(3, line("secret") + line("ERROR b"))
        member = made.member()
        made.fail(after, Crash())
        died += not made.step(member, 12)
        if doubted:
            made.clock.advance(3600)  # the store may have forgotten the token
        made.member()
        made.settle()
        accounted(made)
        assert made.store.rows("shed")
    assert died > 10


def test_bytes_that_were_shed_are_not_shed_again_when_they_come_again() -> None:
    made = world()
    config(made, {"excludeLines": ["drop"]})
    made.member()
    made.write(2, line("keep") + line("drop"))
    made.settle()
    made.clock.advance(120)
    made.members[0].close()
    made.members.clear()
    made.member()
    made.send(2, 0, made.files[2])
    made.settle()
    assert len(made.store.rows("shed")) == 1
    accounted(made)


def test_who_wrote_a_parser_hears_of_lines_that_are_not_so() -> None:
    made = world()
    config(made, {"parse": {"format": "klog"}, "redact": {"presets": ["email"]}})
    made.member()
    made.write(2, line("from a@b.example.com, key ") + line("I0102 03:04:05.000006 1 a.go:7] fine"))
    made.write(2, line(f"token ghp_{'z' * 36}"))
    made.settle()
    (told,) = [found for version in configs_of(made) if (found := errors_in(version))]
    assert (told.origin, told.lines) == ("LogConfig shop/c1", 2)
    assert told.sample in (
        "from [redacted:email], key ",
        "token [redacted:cloud-keys]",
    )


def configs_of(made: World) -> list[ConfigVersion]:
    reader = made.bus.reader()
    reader.assign([TopicPartition(CONFIGS, 0)])
    return [decode_config(record.value) for record in reader.poll(0) if record.value]
