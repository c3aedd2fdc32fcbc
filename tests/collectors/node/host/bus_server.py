"""A D-Bus system bus with a systemd behind it, on a unix socket: authenticates, answers Hello,
GetUnit and Get of properties, or stops answering at a chosen point."""

import socket
import threading
from pathlib import Path
from typing import Any

from jeepney import HeaderFields, Message, MessageType, Parser, new_error, new_method_return

SIGNATURES = {str: "s", int: "t"}


class FakeBus:
    """`silent_at`: "" or the point after which nothing is answered: "connect", "auth", "Hello",
    "GetUnit", "Get". `errors` maps a method to the error name that answers it."""

    def __init__(self, path: Path, units: dict[str, dict[str, Any]]) -> None:
        self.path = path
        self.units = units
        self.silent_at = ""
        self.errors: dict[str, str] = {}
        self.accept_auth = True
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._open: list[socket.socket] = []

    def __enter__(self) -> "FakeBus":
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in [self._socket, *self._open]:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            if self.silent_at == "connect":
                return
            line = _more(connection)
            while not line.endswith(b"\r\n"):
                line += _more(connection)
            assert line.startswith(b"\0AUTH EXTERNAL ")
            if not self.accept_auth:
                connection.sendall(b"REJECTED EXTERNAL\r\n")
                return
            connection.sendall(b"OK 1234567890abcdef1234567890abcdef\r\n")
            if self.silent_at == "auth":
                return
            self._messages(connection)
        except OSError:
            pass

    def _messages(self, connection: socket.socket) -> None:
        data = _more(connection)
        while not data.startswith(b"BEGIN\r\n") or b"\r\n" not in data:
            data += _more(connection)
        parser = Parser()
        parser.add_data(data[len(b"BEGIN\r\n") :], [])
        serial = 0
        while True:
            while (message := parser.get_next_message()) is not None:
                reply = self._answer(message)
                if reply is None:
                    continue
                serial += 1
                connection.sendall(reply.serialise(serial=serial))
            data = connection.recv(1 << 16)
            if not data:
                return
            parser.add_data(data, [])

    def _answer(self, message: Message) -> Message | None:
        assert message.header.message_type is MessageType.method_call
        fields = message.header.fields
        member = fields[HeaderFields.member]
        self.asked.append(member)
        if member == self.silent_at:
            return None
        if member in self.errors:
            return new_error(message, self.errors[member], "s", ("so it is",))
        if member == "Hello":
            return new_method_return(message, "s", (":1.7",))
        assert fields[HeaderFields.destination] == "org.freedesktop.systemd1"
        if member == "GetUnit":
            name = message.body[0]
            if name not in self.units:
                return new_error(
                    message,
                    "org.freedesktop.systemd1.NoSuchUnit",
                    "s",
                    (f"Unit {name} not loaded.",),
                )
            return new_method_return(message, "o", (f"/u/{name.replace('.', '_2e')}",))
        assert member == "Get"
        unit = self.units[fields[HeaderFields.path][3:].replace("_2e", ".")]
        value = unit.get(message.body[1])
        if value is None:
            return new_error(message, "org.freedesktop.DBus.Error.UnknownProperty", "s", ("no",))
        return new_method_return(message, "v", ((SIGNATURES[type(value)], value),))


def _more(connection: socket.socket) -> bytes:
    """A client may give up at any moment."""
    data = connection.recv(1 << 16)
    if not data:
        raise ConnectionResetError
    return data
