"""Starts the black box and fetches what it found, without ever waiting for it. See ports.BlackBox.

The process reads its task from an anonymous file and writes to another, so neither side can block
the other. It is over when it has exited, has written its last document, has written too much or
has used up its time; what is left of its process group is killed then. What cannot be killed (a
process in uninterruptible sleep) is reaped when it goes; until its first process has gone no new
run is begun.

State: the run under way, process groups that are not reaped yet, what the last run found stuck.
Invariant: at most one run; `start` and `finished` come from one thread.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.base.clock import Clock
from pipeline.base.telemetry import Telemetry
from pipeline.contract import metrics

if TYPE_CHECKING:
    from collectors.node.blackbox.config import BlackBoxConfig
    from collectors.node.host.config import HostConfig

LEAST_PAUSE_S = 60.0  # between two beginnings, however often it is asked for
_GRACE_S = 3.0  # it ends by itself in time, if anything of it still works
_MODULE = ("-P", "-m", "collectors.node.blackbox")
_LINGER_S = 2.0
_REAPS, _REAP_S = 10, 0.002
_SAID = 400  # characters of what it said in its last words


@dataclass(frozen=True, slots=True)
class _Run:
    pid: int  # also the id of its process group
    began: float
    out: int
    err: int


class Launcher:
    """`command` is what Python is started with: the black box, or a test's."""

    def __init__(
        self,
        config: "BlackBoxConfig",
        *,
        host: "HostConfig",
        log_roots: Iterable[Path],
        environment: Mapping[str, str],
        telemetry: Telemetry,
        clock: Clock,
        command: Sequence[str] = _MODULE,
    ) -> None:
        self._config = config
        self._host = host
        self._log_roots = tuple(log_roots)
        self._environment = environment
        self._telemetry = telemetry
        self._clock = clock
        self._command = tuple(command)
        self._run: _Run | None = None
        self._complete: float | None = None  # since when it has written everything
        self._began = float("-inf")
        self._groups: set[int] = set()  # not all reaped
        self._leaders: set[int] = set()  # of these the first process, still there
        self._suspects: tuple[str, ...] = ()
        self._left: list[dict[str, Any]] = []

    def start(self, why: str) -> None:
        """Begin, unless one is running, or was a moment ago, or cannot even be killed."""
        self._reap()
        now = self._clock.monotonic()
        if self._run is not None or self._leaders or now - self._began < LEAST_PAUSE_S:
            self._telemetry.count(metrics.BLACK_BOX_RUNS, how="skipped")
            return
        self._began = now
        try:
            self._run = self._spawn(why, now)
        except OSError as error:
            self._failed("not-started", str(error))

    def finished(self) -> Mapping[str, Any] | None:
        """Body of the probe event, once."""
        self._reap()
        run = self._run
        if run is None:
            return None
        exited, size = _exited(run.pid), os.fstat(run.out).st_size
        late = self._clock.monotonic() - run.began > self._config.total_s + _GRACE_S
        large = size > 3 * self._config.max_bytes
        body = None if large else _last(run.out, size)
        if not (exited or late or large or self._lingers(body)):
            return None
        return self._over(run, body, "too-large" if large else "late" if late else "died")

    def close(self) -> None:
        """End a run that is under way. It is not waited for."""
        if self._run is not None:
            self._end(self._run)

    def _lingers(self, body: Mapping[str, Any] | None) -> bool:
        """It has written everything and does not end: a thread of it hangs."""
        if not (body or {}).get("complete"):
            return False
        now = self._clock.monotonic()
        if self._complete is None:
            self._complete = now
        return now - self._complete >= _LINGER_S

    def _over(self, run: _Run, body: dict[str, Any] | None, how: str) -> Mapping[str, Any] | None:
        """`how` it ended, if not well."""
        words = os.pread(run.err, 4096, max(0, os.fstat(run.err).st_size - 4096))
        self._end(run)
        last_words = words.decode("utf-8", "replace").strip()[-_SAID:]
        if body is None:
            self._failed(how, last_words)
            return None
        if not body.pop("complete", False):
            self._failed(how, last_words)
            body["incomplete"] = how
        else:
            self._telemetry.count(metrics.BLACK_BOX_RUNS, how=str(body.get("verdict")))
        self._remember(body)
        return body

    def _remember(self, body: Mapping[str, Any]) -> None:
        """What the next run should ask about first, and what it should leave alone."""
        self._suspects = tuple(entry["id"] for entry in body.get("stuck") or ())
        mounts = body.get("mounts") or ()
        self._left = [{"mount": m["mount"], "pid": m["prober"]} for m in mounts if "prober" in m]

    def _failed(self, how: str, why: str) -> None:
        self._telemetry.count(metrics.BLACK_BOX_RUNS, how=how)
        self._telemetry.event("black-box-failed", level="warn", how=how, why=why)

    # -- processes -----------------------------------------------------------------------------

    def _spawn(self, why: str, now: float) -> _Run:
        task = {
            "config": self._config,
            "host": self._host,
            "log_roots": self._log_roots,
            "why": why,
            "suspects": self._suspects,
            "left": self._left,
        }
        given, out, err = (os.memfd_create(f"black-box-{name}") for name in ("in", "out", "err"))
        try:
            os.write(given, json.dumps(task, default=_plain).encode())
            os.lseek(given, 0, os.SEEK_SET)
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, *self._command],
                dict(self._environment) | {"PYTHONPATH": self._search()},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, given, 0),
                    (os.POSIX_SPAWN_DUP2, out, 1),
                    (os.POSIX_SPAWN_DUP2, err, 2),
                ],
                setpgroup=0,
            )
        except OSError:
            os.close(out)
            os.close(err)
            raise
        finally:
            os.close(given)
        return _Run(pid, now, out, err)

    def _search(self) -> str:
        home = str(Path(__file__).parents[3])
        return os.pathsep.join(filter(None, (home, self._environment.get("PYTHONPATH"))))

    def _end(self, run: _Run) -> None:
        self._run = self._complete = None
        self._groups.add(run.pid)
        self._leaders.add(run.pid)
        try:
            os.killpg(run.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(run.out)
        os.close(run.err)
        for _ in range(_REAPS):  # a killed process goes within moments, or not at all
            self._reap()
            if run.pid not in self._groups:
                break
            self._clock.sleep(_REAP_S)

    def _reap(self) -> None:
        """Also what the run left behind, where this process is the one that inherits orphans."""
        for group in list(self._groups):
            try:
                while pid := os.waitpid(-group, os.WNOHANG)[0]:
                    self._leaders.discard(pid)
            except ChildProcessError:
                self._groups.discard(group)
                self._leaders.discard(group)


def _exited(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _last(file: int, size: int) -> dict[str, Any] | None:
    """The last whole line, if it is a document."""
    data = os.pread(file, size, 0)
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    try:
        body = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _plain(value: Any) -> Any:
    """As pipeline/base/handover.py packs settings, for settings that are packed already."""
    return {"/": str(value)} if isinstance(value, Path) else vars(value)
