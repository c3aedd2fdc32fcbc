"""Coming in by the door of an embedded bus: a connection on which both sides have said hello."""

import socket
import ssl
from pathlib import Path

from pipeline.base.errors import Unavailable, UsageError
from pipeline.base.secret import read_secret
from pipeline.base.tls import client_tls
from pipeline.broker import door
from pipeline.broker.config import BrokerConfig

_CONNECT_S = 5.0
_SILENT_S = 60.0  # an answer is due and none came


class Entrance:
    """Where the door is, how it is verified, and the token to show."""

    def __init__(self, address: tuple[str, int], config: BrokerConfig) -> None:
        """Raises UsageError for what would be insecure or cannot be read."""
        if config.password_file is None:
            raise UsageError("broker.password_file: the bus wants a token; name the file with it")
        self._host, self._port = address
        self._token_file: Path = config.password_file
        self._tls = _tls(config, address[0])

    def enter(self, word: str, name: str) -> door.Wire:
        """`word` says what for, `name` belongs to it (door.py). Raises Unavailable."""
        where = f"{self._host}:{self._port}"
        try:
            token = read_secret(self._token_file, "token of the bus")
            made = socket.create_connection((self._host, self._port), _CONNECT_S)
            try:
                if self._tls is not None:
                    made = self._tls.wrap_socket(made, server_hostname=self._host)
            except BaseException:
                made.close()
                raise
        except (OSError, UsageError) as error:
            raise Unavailable(f"the bus at {where} cannot be reached: {error}") from error
        wire = door.Wire(made)
        try:
            wire.sendall(door.pack([word, door.VERSION, token, name]))
            answer = next(door.frames(wire), [])
            if answer[:1] != [door.HELLO]:
                why = answer[1] if len(answer) > 1 else "it closed the connection"
                raise Unavailable(f"the bus at {where} says no: {why}")
        except OSError as error:
            wire.close()
            raise Unavailable(f"the bus closed the connection: {error}") from error
        except BaseException:
            wire.close()
            raise
        wire.timeout_s = _SILENT_S
        return wire


def _tls(config: BrokerConfig, host: str) -> ssl.SSLContext | None:
    if config.security == "plaintext":
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise UsageError(
                "broker.security is plaintext, and the token would travel in clear text: set tls"
            )
        return None
    if config.security != "tls":
        raise UsageError("broker.security: for kubeledger://… it is tls, with ca_file")
    try:
        return client_tls(config.ca_file)
    except OSError as error:
        raise UsageError(f"broker.ca_file {config.ca_file}: {error}") from error
