"""Child processes of `up` and `demo`: start, watch, restart, stop.

Every service is this program again with other words (`python -m kubeledger store …`), so what
runs here is exactly what runs on a cluster. A child that dies by a signal is started again after
a pause that grows to 5 s; one that exits by itself has said that a person must act, and
everything stops. Children die with their parent (Linux parent-death signal), so a killed `up`
leaves nothing behind that holds the data directory.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.base.clock import Clock
from pipeline.base.errors import Fatal

_PR_SET_PDEATHSIG = 1
_MAX_LOG_BYTES = 16 << 20


@dataclass(slots=True)
class Service:
    """One child: its name, its words after `kubeledger`, and what became of it."""

    name: str
    words: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    restarts: int = 0
    retry_at: float = 0.0
    kills: int = field(default=0)


class Supervisor:
    """Owns the children. One thread, always the same: the parent-death signal follows the
    thread that started a child."""

    def __init__(self, log_dir: Path, clock: Clock) -> None:
        self._log_dir = log_dir
        self._clock = clock
        self._services: dict[str, Service] = {}

    def start(self, name: str, words: Sequence[str]) -> None:
        service = Service(name, words)
        self._services[name] = service
        self._spawn(service)

    def pid(self, name: str) -> int | None:
        process = self._services[name].process
        return process.pid if process and process.poll() is None else None

    def kill(self, name: str) -> bool:
        """SIGKILL, as a crash would. True if it was alive."""
        service = self._services[name]
        if service.process is None or service.process.poll() is not None:
            return False
        service.process.kill()
        service.kills += 1
        service.restarts = 0  # meant, so not a reason to wait longer and longer
        return True

    def pause(self, name: str) -> bool:
        """SIGSTOP: alive for the kernel, gone for everybody else. True if it was alive."""
        return self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> bool:
        return self._signal(name, signal.SIGCONT)

    def check(self) -> list[str]:
        """Restart what was killed; a line for each. Fatal when a child gave up by itself."""
        news = []
        for service in self._services.values():
            process = service.process
            if process is not None and (code := process.poll()) is not None:
                if code >= 0:
                    raise Fatal(self._last_words(service, code))
                if self._clock.monotonic() - service.started > 30:
                    service.restarts = 0
                pause = min(0.2 * 2**service.restarts, 5.0)
                service.process, service.retry_at = None, self._clock.monotonic() + pause
                service.restarts += 1
                news.append(f"{service.name} died of {signal.Signals(-code).name}; restarting")
            if service.process is None and self._clock.monotonic() >= service.retry_at:
                self._spawn(service)
        return news

    def stop(self, name: str, timeout_s: float) -> None:
        """SIGTERM, wait, then SIGKILL. Fine if it is not running."""
        service = self._services.pop(name, None)
        if service is None or service.process is None:
            return
        service.process.terminate()
        service.process.send_signal(signal.SIGCONT)  # a paused one could not listen
        try:
            service.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            service.process.kill()
            service.process.wait()

    def stop_all(self, timeout_s: float) -> None:
        """In the order opposite to the start."""
        for name in reversed(list(self._services)):
            self.stop(name, timeout_s)

    def _signal(self, name: str, number: signal.Signals) -> bool:
        process = self._services[name].process
        if process is None or process.poll() is not None:
            return False
        process.send_signal(number)
        return True

    def _spawn(self, service: Service) -> None:
        self._log_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._log_dir / f"{service.name}.log"
        if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            service.process = subprocess.Popen(
                [sys.executable, "-m", "kubeledger", *service.words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent(os.getpid()),
                process_group=0,  # Ctrl-C reaches `up` alone, which stops them in order
            )
        service.started = self._clock.monotonic()

    def _last_words(self, service: Service, code: int) -> str:
        path = self._log_dir / f"{service.name}.log"
        tail = path.read_bytes()[-3000:].decode("utf-8", "replace").strip().splitlines()[-6:]
        return f"{service.name} stopped with exit code {code}; {path} ends with:\n" + "\n".join(
            tail
        )


def _die_with_parent(parent: int):  # type: ignore[no-untyped-def]
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def prepare() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died between fork and here
                os._exit(1)

    return prepare
