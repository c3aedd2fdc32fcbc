"""When each alert must be looked at again. The earliest is known at once: facts come in
thousands, and nearly none of them makes anything due."""

NEVER = 1 << 62


class Timers:
    """At most one time per name, Unix ms."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._first = NEVER

    def set(self, name: str, at: int) -> None:
        """NEVER takes it away."""
        if at == NEVER:
            self._at.pop(name, None)
        else:
            self._at[name] = at
            self._first = min(self._first, at)

    def due(self, now: int) -> list[str]:
        """Names whose time has come, in order of time."""
        if now < self._first:
            return []
        found = sorted((at, name) for name, at in self._at.items() if at <= now)
        if not found:
            self._first = min(self._at.values(), default=NEVER)
        return [name for _, name in found]

    def at(self, name: str) -> int:
        return self._at.get(name, NEVER)
