"""A million lines do not hang the page: the server gives a page at a time, the list elements for
what is in view only."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.base.clock import SystemClock
from pipeline.base.lifecycle import Stop
from pipeline.console.page.server import serving
from pipeline.store.clickhouse import open_store
from pipeline.store.migrate import migrate
from tests.dashboards.recorded import FOR_EVER
from tests.pipeline.store.running import Running
from tests.real.chromium import Browser
from tests.real.test_page import LOADED, PANELS, chromium

__all__ = ["chromium"]  # its fixture

pytestmark = [pytest.mark.real, pytest.mark.slow]

LINES = 1_000_000
FIRST_MS = 1_795_412_000_000  # one line every 3 ms


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    running = Running(tmp_path_factory.mktemp("large") / "data").start()
    config = running.config
    store = open_store(config)
    migrate(store, config.model_copy(update={"ttl_days": FOR_EVER}))
    store.command(
        "INSERT INTO logs (ts, namespace, workload, pod, container, node, stream, body, file_id, "
        f"off, nbytes, kp, ko) SELECT fromUnixTimestamp64Milli(toInt64({FIRST_MS} + number * 3)), "
        "'shop', 'Deployment/web', concat('web-', toString(number % 20)), 'main', 'node-a', "
        "'stdout', concat('level=info msg=\"request ', toString(number), '\" took_ms=', "
        "toString(number % 97)), number % 20, number * 100, 100, 0, intDiv(number, 1000) "
        f"FROM numbers({LINES})"
    )
    with serving("127.0.0.1:0", lambda: open_store(config), clock=SystemClock(), stop=Stop()) as at:
        yield at
    store.close()
    running.stop()


def test_a_million_lines(chromium: Browser, url: str, tmp_path: Path) -> None:
    chromium.size(1280, 900)
    last = FIRST_MS + LINES * 3
    chromium.open(f"{url}d/kubeledger-logs?from={FIRST_MS}&to={last}")
    chromium.until(f"{PANELS}.length && document.querySelectorAll('.entry').length", "lines")
    chromium.size(1280, 2400)
    chromium.until(LOADED, "all panels")
    for _ in range(12):
        before = chromium.evaluate("document.querySelector('.room').clientHeight")
        chromium.evaluate(
            "(box => { box.scrollTop = box.scrollHeight })(document.querySelector('.scroll'))"
        )
        chromium.until(
            f"document.querySelector('.room').clientHeight > {before}", "another page of lines"
        )
        assert chromium.evaluate("document.querySelectorAll('.entry').length") < 200
    assert chromium.evaluate("document.querySelectorAll('*').length") < 5000
    assert chromium.said == []
    newest = chromium.evaluate("document.querySelector('.lines .head span').textContent")
    assert newest.endswith("more below")
