"""HELO, PING, PONG: each side proves that it knows the shared key, and a user its password. Pure.

  server  ["HELO", {nonce, auth, keepalive}]                       auth: salt of passwords, or empty
  client  ["PING", name, salt, sha512(salt name nonce key), user, sha512(auth user password)]
  server  ["PONG", ok, why, name, sha512(salt name nonce key)]     digests in hex
  (Fluent forward protocol v1, "Handshake")

Secrets are read anew for each client: they are rotated.
"""

import hmac
from hashlib import sha512
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

from collectors.forward.framing import explained
from collectors.forward.refusal import NOT_MSGPACK, UNAUTHORIZED, WRONG_TYPE, Refused
from pipeline.base.errors import UsageError
from pipeline.base.secret import read_secret

if TYPE_CHECKING:
    from collectors.forward.config import ForwardConfig

FIRST_BYTES = 4096  # of a PING
_NONCE = 16


class Handshake:
    """Of one client. `random` gives that many bytes."""

    def __init__(self, config: "ForwardConfig", key_file: Path, name: str, random: bytes) -> None:
        self._config = config
        self._key_file = key_file
        self._name = name.encode()
        self._nonce, self._auth = random[:_NONCE], random[_NONCE:] if config.users else b""

    def helo(self) -> bytes:
        options = {"nonce": self._nonce, "auth": self._auth, "keepalive": True}
        packed: bytes = msgpack.packb(["HELO", options], use_bin_type=True)
        return packed

    def pong(self, ping: bytes) -> tuple[bytes, str]:
        """What to answer, and the client's name. Raises Refused for what is no PING, and, with
        the answer as `answer`, for a wrong key or password."""
        name, salt, digest, user, password = _ping(ping)
        try:
            return self._judged(name, salt, digest, user, password)
        except UsageError as error:  # a secret is not there now; others' connections go on
            raise Unauthorized(str(error), _pong(False, "try again later")) from error

    def _judged(
        self, name: bytes, salt: bytes, digest: bytes, user: bytes, password: bytes
    ) -> tuple[bytes, str]:
        key = read_secret(self._key_file, "shared key of the forward input").encode()
        if not key or not _same(digest, _digest(salt, name, self._nonce, key)):
            raise Unauthorized("the shared key is wrong", _pong(False, "shared_key mismatch"))
        if self._config.users and not self._known(user, password):
            raise Unauthorized(
                f"user {user[:60]!r} or the password is wrong",
                _pong(False, "username/password mismatch"),
            )
        proof = _digest(salt, self._name, self._nonce, key)
        return _pong(True, "", self._name, proof), name.decode("utf-8", "replace")[:253]

    def _known(self, user: bytes, password: bytes) -> bool:
        known = False
        for one in self._config.users:
            secret = read_secret(Path(one.password_file), f"password of {one.name}").encode()
            right = _digest(self._auth, one.name.encode(), secret)
            known |= _same(user, one.name.encode()) & _same(password, right) & bool(secret)
        return known


class Unauthorized(Refused):
    """`answer` says so to the client."""

    def __init__(self, why: str, answer: bytes) -> None:
        super().__init__(UNAUTHORIZED, why)
        self.answer = answer


def _ping(message: bytes) -> list[bytes]:
    """Name, salt, digest, user, digest of the password."""
    try:
        found: Any = msgpack.unpackb(message, raw=True)
    except (ValueError, msgpack.UnpackException) as error:
        raise Refused(NOT_MSGPACK, explained(error)) from error
    if not isinstance(found, list) or len(found) != 6 or found[0] != b"PING":
        raise Refused(WRONG_TYPE, "the client does not begin with PING: give it the shared key")
    if not all(isinstance(part, bytes) for part in found):
        raise Refused(WRONG_TYPE, "a part of PING is no text")
    return found[1:]


def _pong(ok: bool, why: str, name: bytes = b"", proof: bytes = b"") -> bytes:
    packed: bytes = msgpack.packb(["PONG", ok, why, name.decode(), proof.decode()])
    return packed


def _digest(*parts: bytes) -> bytes:
    return sha512(b"".join(parts)).hexdigest().encode()


def _same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)
