"""Who may connect to the embedded store."""

import hmac


class Login:
    """One user. Without a password anybody who reaches the port may connect, as `default` or as
    that user; the server then listens on loopback only."""

    def __init__(self, user: str, password: str) -> None:
        self.user = user
        self._password = password

    @property
    def required(self) -> bool:
        return bool(self._password)

    def allows(self, user: str, password: str) -> bool:
        user = user or "default"
        if not self._password:
            return user in ("default", self.user)
        given, right = f"{user}\0{password}", f"{self.user}\0{self._password}"
        return hmac.compare_digest(given.encode(), right.encode())
