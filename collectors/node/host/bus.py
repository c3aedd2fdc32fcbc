"""A few calls on a D-Bus socket, all of them within one deadline. The door to jeepney.

jeepney writes and reads the messages; its connections are not used, because their Hello waits for
ever, and a bus that does not answer is what this is for.
"""

import socket
import time
from collections.abc import Sequence
from typing import Any

from jeepney import DBusAddress, HeaderFields, Message, MessageType, Parser, new_method_call
from jeepney.auth import BEGIN, AuthenticationError, Authenticator

_BUS = DBusAddress(
    "/org/freedesktop/DBus", bus_name="org.freedesktop.DBus", interface="org.freedesktop.DBus"
)


class BusError(Exception):
    """An error reply: `name` as the far side gave it, such as
    org.freedesktop.systemd1.NoSuchUnit."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class Bus:
    """A context manager: connected, authenticated and greeted inside. Everything raises OSError,
    TimeoutError when the deadline is over."""

    def __init__(self, path: str, *, deadline_s: float) -> None:
        self._path = path
        self._deadline = time.monotonic() + deadline_s
        self._socket = socket.socket(socket.AF_UNIX)
        self._parser = Parser()
        self._serial = 0

    def __enter__(self) -> "Bus":
        try:
            self._limit()
            self._connect()
            self._authenticate()
            self.call([new_method_call(_BUS, "Hello")])
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, messages: Sequence[Message]) -> list[tuple[Any, ...] | BusError]:
        """Send all, then wait for all replies; they come in the order of the messages."""
        serials = []
        for message in messages:
            self._serial += 1
            serials.append(self._serial)
            self._limit()
            self._socket.sendall(message.serialise(serial=self._serial))
        replies: dict[int, tuple[Any, ...] | BusError] = {}
        while not all(serial in replies for serial in serials):
            message = self._receive()
            replies[message.header.fields.get(HeaderFields.reply_serial, 0)] = _reply(message)
        return [replies[serial] for serial in serials]

    def _connect(self) -> None:
        try:
            self._socket.connect(self._path)
        except BlockingIOError as error:  # EAGAIN: the backlog is full, nobody accepts
            raise TimeoutError("nobody accepts connections") from error

    def _authenticate(self) -> None:
        self._socket.sendall(b"\0")
        talk = Authenticator(inc_null_byte=False)
        try:
            for line in talk:
                self._limit()
                self._socket.sendall(line)
                if talk.authenticated or line == BEGIN:
                    break
                talk.feed(self._some())
        except AuthenticationError as error:
            raise PermissionError(f"the bus does not accept this user: {error.data!r}") from error
        self._limit()
        self._socket.sendall(BEGIN)

    def _receive(self) -> Message:
        while (message := self._parser.get_next_message()) is None:
            self._parser.add_data(self._some(), [])
        return message

    def _some(self) -> bytes:
        self._limit()
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionResetError("the bus closed the connection")
        return data

    def _limit(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer within the deadline")
        self._socket.settimeout(left)


def method(
    path: str, interface: str, name: str, *, signature: str = "", body: tuple[Any, ...] = ()
) -> Message:
    """A call of org.freedesktop.systemd1."""
    address = DBusAddress(path, bus_name="org.freedesktop.systemd1", interface=interface)
    return new_method_call(address, name, signature or None, body)


def _reply(message: Message) -> tuple[Any, ...] | BusError:
    if message.header.message_type is MessageType.error:
        name = message.header.fields.get(HeaderFields.error_name, "")
        return BusError(str(name), " ".join(str(part) for part in message.body))
    return tuple(message.body)
