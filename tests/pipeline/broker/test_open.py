"""Which bus a URL means, and what a wrong one is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.base.errors import UsageError
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker

SHOW_MODULES = """
import sys
from pathlib import Path
from pipeline.broker.config import BrokerConfig
from pipeline.broker.open import open_broker
broker = open_broker(BrokerConfig(url=sys.argv[1]))
if sys.argv[1].startswith("sqlite"):
    broker.admin().close()
print(*(name for name in ("kafka", "sqlite3", "numpy", "chdb") if name in sys.modules))
"""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bus.db",
        "sqlite:",
        "sqlite://host/bus.db",
        "kafka:localhost:9092",
        "kafka://localhost",
        "kafka://localhost:port",
        "kafka://a:1,b",
        "kafka://a:70000",
        "redis://localhost:1",
    ],
)
def test_a_wrong_url_names_the_accepted_forms(url: str) -> None:
    with pytest.raises(UsageError, match=r"kafka://HOST:PORT.*sqlite:PATH"):
        open_broker(BrokerConfig(url=url))


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(UsageError) as wrong:
        open_broker(BrokerConfig(url="kafka://user:hunter2@broker:9092"))
    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize(
    ("url", "modules"), [("sqlite:{}/bus.db", "sqlite3"), ("kafka://127.0.0.1:9", "kafka")]
)
def test_each_backend_loads_only_its_own_client(url: str, modules: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW_MODULES, url.format(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [modules]


def test_sasl_needs_a_user_and_a_password_file_that_can_be_read(tmp_path: Path) -> None:
    bare = open_broker(BrokerConfig(url="kafka://127.0.0.1:9", security="sasl_tls"))
    with pytest.raises(UsageError, match=r"broker\.username and broker\.password_file"):
        bare.admin()
    missing = BrokerConfig(
        url="kafka://127.0.0.1:9",
        security="sasl_tls",
        username="u",
        password_file=tmp_path / "none",
    )
    with pytest.raises(UsageError, match="none: cannot be read"):
        open_broker(missing).producer()


def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("not a certificate")
    config = BrokerConfig(url="kafka://127.0.0.1:9", security="tls", ca_file=broken)
    with pytest.raises(UsageError, match=r"ca\.pem"):
        open_broker(config).reader()
