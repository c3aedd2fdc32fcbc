"""Settings: what is promised, and what a wrong one says."""

from pathlib import Path

import pytest

from collectors.bounds import KIB, MIB
from collectors.config import CollectConfig
from pipeline.base.config import load
from pipeline.base.errors import UsageError


def test_defaults_are_promises() -> None:
    config = CollectConfig(node="n1")
    assert config.roots == (Path("/var/log/pods"),)
    assert config.host_files == ()
    assert config.health == "127.0.0.1:9600"
    assert config.reading.model_dump() == {
        "chunk_bytes": 512 * KIB, "linger_s": 0.25, "tick_s": 0.1, "quiet_s": 3.0, "sweep_s": 5.0,
        "poll_s": 1.0, "inotify": True,
    }  # fmt: skip
    assert config.limits.model_dump() == {
        "unacked_bytes": 32 * MIB, "unacked_compressed_bytes": 8 * MIB, "unacked_records": 1000,
        "held_bytes": 1024 * MIB,
    }  # fmt: skip
    assert config.rotation.model_dump() == {
        "max_size_bytes": 10 * MIB, "max_files": 5, "warn_s": 300.0,
    }  # fmt: skip
    assert (config.pod_wait_s, config.stop_timeout_s, config.health_bound_s) == (2.0, 10.0, 60.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("root: [/x]", "unknown key `root`; did you mean `roots`?"),
        ("reading: {sweep_s: 60}", "`reading.sweep_s`: Input should be less than or equal to 5"),
        ("host_files: [{glob: /x, container: 'a b'}]", "`host_files.0.container`"),
        ("host_files: [{glob: /var/*/x.log, container: a}]", "wildcards in its last part only"),
        ("host_files: [{glob: /var/log/, container: a}]", "wildcards in its last part only"),
        ('roots: ["/a\\0b"]', "`roots.0`: no setting holds a NUL character"),
        ("limits: {held_byte: 1}", "unknown key `limits.held_byte`; did you mean `held_bytes`?"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "collect.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(CollectConfig, service="collect", path=path, environment={})
    assert message in str(caught.value)


def test_every_setting_is_documented() -> None:
    def fields(model: type) -> list[str]:
        found = []
        for name, info in model.model_fields.items():  # type: ignore[attr-defined]
            if not info.description:
                found.append(name)
            if hasattr(info.annotation, "model_fields"):
                found += fields(info.annotation)
        return found

    assert fields(CollectConfig) == []
