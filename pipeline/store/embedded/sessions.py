"""Sessions of HTTP clients: by `session_id`, or one per request."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipeline.store.embedded.engine import Engine
from pipeline.store.embedded.failure import EngineError
from pipeline.store.embedded.session import Session

_DEFAULT_S = 60.0
_LONGEST_S = 3600.0


@dataclass(slots=True)
class _Named:
    session: Session
    busy: threading.Lock = field(default_factory=threading.Lock)
    until: float = 0.0  # monotonic


class Sessions:
    """Named sessions end when nobody used them for their timeout."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._named: dict[str, _Named] = {}

    @contextmanager
    def lent(self, words: Mapping[str, str], read_only: bool) -> Iterator[Session]:
        """A session for one request. `read_only`: statements that change data are refused, as
        ClickHouse does for GET."""
        self._expire()
        name = words.get("session_id", "")
        if not name:
            session = self._engine.session(words.get("database", ""))
            try:
                if read_only:
                    session.command("SET readonly = 2")
                yield session
            finally:
                session.close()
            return
        named = self._find(name, words)
        if not named.busy.acquire(blocking=False):
            raise EngineError(373, f"Session {name} is locked by a concurrent client.",
                              "SESSION_IS_LOCKED")  # fmt: skip
        try:
            named.session.use(words.get("database", ""))
            yield named.session
        finally:
            named.until = time.monotonic() + min(
                float(words.get("session_timeout") or _DEFAULT_S), _LONGEST_S
            )
            named.busy.release()

    def _find(self, name: str, words: Mapping[str, str]) -> _Named:
        with self._lock:
            if name not in self._named:
                if words.get("session_check") == "1":
                    raise EngineError(372, f"Session {name} not found.", "SESSION_NOT_FOUND")
                self._named[name] = _Named(self._engine.session())
            named = self._named[name]
            named.until = time.monotonic() + _LONGEST_S
            return named

    def _expire(self) -> None:
        with self._lock:
            now = time.monotonic()
            old = [n for n, s in self._named.items() if s.until < now and not s.busy.locked()]
            ended = [self._named.pop(name) for name in old]
        for named in ended:
            named.session.close()

    def close(self) -> None:
        with self._lock:
            ended = list(self._named.values())
            self._named.clear()
        for named in ended:
            named.session.close()
