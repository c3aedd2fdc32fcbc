"""The page in a real browser, over recorded data: each dashboard, wide and narrow, light and dark.

Not one word on the console, no panel that fails, none that is empty on the recording that it exists
for. KUBELEDGER_PICTURES=DIR keeps what was seen.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from pipeline.base.clock import SystemClock
from pipeline.base.lifecycle import Stop
from pipeline.console.page.server import serving
from pipeline.store.clickhouse import open_store
from pipeline.store.protocol import Store
from tests.dashboards.recorded import Recorded
from tests.dashboards.test_queries import DASHBOARDS, FOR, QUESTIONS, asked
from tests.real.chromium import Browser, browser, program

pytestmark = [pytest.mark.real]

PANELS = "[...document.querySelectorAll('.panel')]"
LOADED = f"{PANELS}.length && {PANELS}.every(p => p.dataset.state !== 'waits')"
STATES = f"{PANELS}.map(p => [p.getAttribute('aria-label'), p.dataset.state])"
# A key in the moment after the help closes, when the focus is still there.
AT_ONCE = """(() => {
  document.querySelector("dialog").close();
  const at = document.activeElement;
  at.dispatchEvent(new KeyboardEvent("keydown", { key: "3", bubbles: true }));
  return at.tagName;
})()"""
# Half a minute is 50 ms; how often it was over, and how often anything was asked.
QUICK = """{
  const [every, get] = [setInterval, fetch];
  window.ticks = window.asked = 0;
  window.setInterval = (act) => every(() => { act(); window.ticks += 1; }, 50);
  window.fetch = (...words) => { window.asked += 1; return get(...words); };
}"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if program() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must not skip the real parts: no chromium on the PATH")
        pytest.skip("no chromium on the PATH; on Debian, install chromium")
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def url(recorded: Recorded) -> Iterator[str]:
    opener = lambda: open_store(recorded.config)  # noqa: E731
    with serving("127.0.0.1:0", opener, clock=SystemClock(), stop=Stop()) as found:
        yield found


def address(url: str, recorded: Recorded, board: str, recording: str) -> str:
    seen = asked(recorded.store, recording)
    query = {"from": seen.from_ms, "to": seen.to_ms, "var-cluster": recording}
    return f"{url}d/kubeledger-{board}?{urlencode(query)}"


def opened(chromium: Browser, where: str, *, width: int = 1280, dark: bool = False) -> list:
    chromium.size(width, 900, dark=dark)
    chromium.open("about:blank")
    chromium.open(where)
    chromium.until(f"{PANELS}.length", "the dashboard")
    # As high as the whole: what is not in view does not ask.
    height = int(chromium.evaluate("document.documentElement.scrollHeight"))
    chromium.size(width, height + 40, dark=dark)
    chromium.until(LOADED, "all panels")
    return list(chromium.evaluate(STATES))


def kept(chromium: Browser, name: str) -> None:
    if directory := os.environ.get("KUBELEDGER_PICTURES"):
        chromium.picture(Path(directory) / f"{name}.png")


@pytest.mark.parametrize("board", DASHBOARDS)
def test_dashboard(chromium: Browser, url: str, recorded: Recorded, board: str) -> None:
    here = [q for q in QUESTIONS if q.dashboard == board and q.name[0] not in "$@"]
    for recording in sorted({question.recording for question in here}):
        states = opened(chromium, address(url, recorded, board, recording))
        assert chromium.said == []
        assert [name for name, state in states if state == "failed"] == []
        wanted = {q.name for q in here if q.recording == recording}
        assert [name for name, state in states if state == "empty" and name in wanted] == []
        kept(chromium, f"{board}-{recording}")


@pytest.mark.parametrize("board", ["logs", "incident", "nodes"])
def test_dashboard_on_a_phone_and_in_the_dark(
    chromium: Browser, url: str, recorded: Recorded, board: str
) -> None:
    opened(chromium, address(url, recorded, board, FOR[board]), width=390, dark=True)
    assert chromium.evaluate("document.documentElement.scrollWidth") == 390
    assert chromium.evaluate("document.documentElement.dataset.theme") == "dark"
    assert chromium.said == []
    kept(chromium, f"{board}-narrow")


def test_first_paint_does_not_wait_for_the_store(chromium: Browser, recorded: Recorded) -> None:
    """What is drawn first is there before the first answer: the frame, then the panels."""
    answers = threading.Event()

    def opener() -> Store:
        answers.wait(300)
        return open_store(recorded.config)

    with serving("127.0.0.1:0", opener, clock=SystemClock(), stop=Stop()) as slow:
        try:
            chromium.size(1280, 6000)  # all panels are in view, and ask
            chromium.open(address(slow, recorded, "nodes", FOR["nodes"]))
            painted = "performance.getEntriesByName('first-contentful-paint').length"
            chromium.until(painted, "the first paint")
            assert chromium.evaluate(f"{PANELS}.every(p => p.dataset.state === 'waits')")
        finally:
            answers.set()
        chromium.until(LOADED, "all panels")


def test_keys(chromium: Browser, url: str, recorded: Recorded) -> None:
    opened(chromium, address(url, recorded, "logs", FOR["logs"]))
    chromium.key("j")
    chromium.until("document.querySelector('.entry.on')", "a chosen line")
    chromium.key("c")
    chromium.until("document.querySelector('.around .match')", "its file")
    chromium.key("Escape")
    chromium.until("document.querySelector('.details').hidden", "closed")
    chromium.key("/")
    assert chromium.evaluate("document.activeElement.id") == "v-search"
    chromium.evaluate("document.activeElement.blur()")
    chromium.key("?")
    chromium.until("document.querySelector('dialog[open]')", "help")
    chromium.key("Escape")
    chromium.until("!document.querySelector('dialog')", "closed")
    chromium.key("?")
    chromium.until("document.querySelector('dialog[open]')", "help")
    assert chromium.evaluate(AT_ONCE) == "DIALOG"
    chromium.until("document.querySelector('h1').textContent === 'Node readiness'", "the third")
    assert chromium.said == []


def test_a_link_carries_time_and_variables(chromium: Browser, url: str, recorded: Recorded) -> None:
    opened(chromium, address(url, recorded, "nodes", FOR["nodes"]))
    before = chromium.evaluate("new URLSearchParams(location.search).get('from')")
    chromium.evaluate("document.querySelector('a[href*=\"kubeledger-incident\"][data-go]').click()")
    chromium.until("document.querySelector('h1').textContent === 'Incident'", "the incident")
    chromium.until(LOADED, "all panels")
    after = chromium.evaluate(
        "(q => [q.get('from'), q.get('var-cluster'), q.get('var-episode')])"
        "(new URLSearchParams(location.search))"
    )
    assert after[:2] == [before, FOR["nodes"]]
    assert after[2]


def test_asked_again_by_itself_when_wanted(chromium: Browser, url: str, recorded: Recorded) -> None:
    """What comes is shown in its place; what the reader points at stays; a past time is not asked
    about again."""
    said = "document.querySelector('[aria-label=\"Alerts firing\"] .stat')?.textContent"
    opened(chromium, f"{url}d/kubeledger-fleet?from=now-1h&to=now")
    before = int(chromium.evaluate(said))
    chromium.evaluate(QUICK)
    assert chromium.evaluate("document.querySelector('#auto').ariaPressed") == "false"
    chromium.evaluate("window.there = document.querySelector('[aria-label=\"Alerts\"]')")
    recorded.store.command(
        "INSERT INTO alerts (ts, fingerprint, since, version, body) SELECT now64(3), 'f', "
        "now64(3) - 5, 1, toJSONString(map('status', 'firing', 'severity', 'info', 'rule', 'R'))"
        " AS body"
    )
    try:
        chromium.key("a")
        chromium.until(f"{said} === '{before + 1}'", "the new alert")
        assert chromium.evaluate("window.there.isConnected")
        kept(chromium, "fleet-auto")
        chromium.key("a")
        opened(chromium, address(url, recorded, "fleet", FOR["fleet"]))
        chromium.evaluate(QUICK)
        chromium.key("a")
        chromium.until("window.ticks >= 10", "ten times half a minute")
        assert chromium.evaluate("window.asked") == 0
        assert chromium.said == []
    finally:
        recorded.store.command("DELETE FROM alerts WHERE fingerprint = 'f'")


def test_what_a_line_says_is_text(chromium: Browser, url: str, recorded: Recorded) -> None:
    """Markup and escapes in logs are shown, never obeyed."""
    evil = "<img src=x onerror=document.title=1><b>\\x1b[2J"
    chromium.open(f"{url}d/kubeledger-logs?{urlencode({'from': 1, 'to': 2, 'var-search': evil})}")
    chromium.until(LOADED, "all panels")
    chromium.evaluate(
        "import('/static/dom.js').then(({ el, notice }) => { notice(" + repr(evil) + ");"
        " document.body.append(el('p', { id: 'evil' }, " + repr(evil) + ")); })"
    )
    assert chromium.evaluate("document.querySelector('#evil').children.length") == 0
    assert chromium.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    assert chromium.evaluate("document.title").endswith("kubeledger")
