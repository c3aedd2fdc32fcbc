"""A headless Chromium, driven over its own pipe (Chrome DevTools Protocol): no driver program, no
port. One page at a time."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WAIT_S = 60.0
_FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
    "--font-render-hinting=none", "--force-color-profile=srgb",
)  # fmt: skip


def program() -> str | None:
    return next((found for name in ("chromium", "chromium-browser", "google-chrome")
                 if (found := shutil.which(name))), None)  # fmt: skip


@dataclass
class Browser:
    """Commands and their answers; what the console said is kept."""

    write: int
    read: int
    number: int = 0
    session: str = ""
    said: list[str] = field(default_factory=list)
    rest: bytes = b""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Raises AssertionError with the browser's words when it refuses."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.read], [], [], _WAIT_S)
            assert ready, f"the browser says nothing for {_WAIT_S:.0f} s"
            piece = os.read(self.read, 1 << 20)
            assert piece, "the browser is gone"
            self.rest += piece
        raw, _, self.rest = self.rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(raw)
        self._heard(answer.get("method", ""), answer.get("params", {}))
        return answer

    def _heard(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            detail = params["exceptionDetails"]
            self.said.append(str(detail.get("exception", {}).get("description", detail["text"])))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.said.append(" ".join(str(a.get("value", a)) for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.said.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def evaluate(self, script: str) -> Any:
        """The value of an expression; promises are waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str, what: str) -> Any:
        """Wait for an expression to be true."""
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            if found := self.evaluate(f"(({script}) ?? false) && true"):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what}: not after {_WAIT_S:.0f} s; the console says {self.said}")

    def open(self, url: str) -> None:
        self.said.clear()
        self.call("Page.navigate", url=url)

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def key(self, text: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=text,
                      windowsVirtualKeyCode={"Escape": 27}.get(text, 0),
                      text=text if len(text) == 1 and kind == "keyDown" else "")  # fmt: skip

    def picture(self, path: Path, *, form: str = "png", quality: int | None = None) -> None:
        more = {} if quality is None else {"quality": quality}
        answer = self.call("Page.captureScreenshot", format=form, **more)
        path.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    found = program()
    assert found, "no chromium"
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium's sandbox refuses root
    # The pipe of the protocol is descriptors 3 and 4.
    words = [found, *_FLAGS, *root, f"--user-data-dir={profile}", "about:blank"]
    shell = f'exec {to_read}<&{to_read} 3<&{to_read} 4>&{from_write}; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", shell, "chromium", *words],
        pass_fds=(to_read, from_write),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(to_read)
    os.close(from_write)
    try:
        made = Browser(to_write, from_read)
        target = made.call("Target.createTarget", url="about:blank")["targetId"]
        made.session = made.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        made.call("Emulation.setFocusEmulationEnabled", enabled=True)  # keys go to the page
        for domain in ("Page", "Runtime", "Log"):
            made.call(f"{domain}.enable")
        yield made
    finally:
        process.kill()
        process.wait()
        os.close(to_write)
        os.close(from_read)
