"""Wrong configuration is told apart by file, key, value and what to write instead."""

from pathlib import Path

import pytest
from pydantic import Field

from pipeline.base.config import Settings, load, read_secret
from pipeline.base.errors import UsageError


class Inner(Settings):
    url: str = Field("sqlite:x", description="where")
    password_file: Path | None = Field(None, description="secret")


class Outer(Settings):
    broker: Inner = Field(default_factory=Inner, description="bus")
    count: int = Field(4, ge=1, description="how many")
    flag: bool = Field(False, description="whether")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def loaded(path: Path | None = None, **environment: str) -> Outer:
    return load(Outer, service="collect", path=path, environment=environment)


def test_defaults_file_environment_in_this_order(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", "count: 2\nbroker: {url: a}\n")
    assert loaded().count == 4
    assert loaded(path).count == 2
    both = loaded(path, KUBELEDGER_COLLECT_COUNT="7", KUBELEDGER_COLLECT_BROKER__URL="b")
    assert (both.count, both.broker.url) == (7, "b")
    assert loaded(path, KUBELEDGER_COLLECT_FLAG="false").flag is False
    assert loaded(path, KUBELEDGER_OTHER_COUNT="9").count == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuont: 2", "c.yaml: unknown key `cuont`; did you mean `count`?"),
        ("zzz: 2", "unknown key `zzz`; known here: broker, count, flag"),
        ("broker: {ulr: x}", "unknown key `broker.ulr`; did you mean `url`?"),
        ("count: many", "`count`: Input should be a valid integer"),
        ("count: 0", "greater than or equal to 1 (found 0)"),
        ("broker: 3", "`broker`"),
        ("- a", "expected `key: value` lines, found list"),
        ("a: [", "not valid YAML"),
    ],
)
def test_bad_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(write(tmp_path / "c.yaml", text))
    assert message in str(caught.value)
    assert "c.yaml" in str(caught.value)


def test_unreadable_and_absent_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the configuration"):
        loaded(tmp_path / "absent.yaml")


def test_unknown_environment_key_is_refused_too() -> None:
    with pytest.raises(UsageError, match="did you mean `count`"):
        loaded(KUBELEDGER_COLLECT_COUNTS="1")


def test_empty_file_means_defaults(tmp_path: Path) -> None:
    assert loaded(write(tmp_path / "c.yaml", "")) == Outer()


def test_secret_comes_from_a_file_and_is_not_shown(tmp_path: Path) -> None:
    assert read_secret(write(tmp_path / "p", "s3cret\n"), "password") == "s3cret"
    with pytest.raises(UsageError) as caught:
        loaded(write(tmp_path / "c.yaml", "broker: {password_file: [s3cret]}"))
    assert "s3cret" not in str(caught.value)
