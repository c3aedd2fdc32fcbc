"""Settings of the Fluent forward input. Each is documented where it is declared; defaults live
here."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from collectors.bounds import KIB, MIB
from pipeline.base.address import is_loopback
from pipeline.base.config import Settings


class ForwardUser(Settings):
    """Who may log in, beside the shared key."""

    name: str = Field(min_length=1, description="User name as the client sends it.")
    password_file: Path = Field(description="File with the password.")


class ForwardConfig(Settings):
    """Logs from Fluentd, Fluent Bit and fluent-logger clients, over TCP or a Unix socket."""

    listen: str = Field(
        "",
        description="HOST:PORT for clients, 24224 is the usual port; empty: none. Off loopback a "
        "certificate and a shared key are required.",
    )
    unix: Path | None = Field(None, description="Path of a Unix socket for clients; absent: none.")
    unix_mode: str = Field(
        "0660", pattern=r"^0?[0-7]{3}$", description="Rights of the Unix socket, octal."
    )
    cert_file: Path | None = Field(None, description="Certificate (chain) of this address, PEM.")
    key_file: Path | None = Field(None, description="Its key, PEM.")
    shared_key_file: Path | None = Field(
        None,
        description="File with the shared key that clients over TCP know; absent: they are not "
        "asked. A Unix socket is guarded by its rights.",
    )
    users: tuple[ForwardUser, ...] = Field(
        (), description="If given, a client logs in as one of them as well."
    )
    hostname: str = Field(
        "", max_length=253, description="Name in the handshake; empty: the node's."
    )
    connections: int = Field(1024, ge=1, le=65_536, description="At a time; more are refused.")
    message_bytes: int = Field(
        8 * MIB,
        ge=64 * KIB,
        le=512 * MIB,
        description="Largest message, as it comes; this is memory. Fluentd's chunk_limit_size "
        "must be below.",
    )
    expanded_bytes: int = Field(
        16 * MIB,
        ge=64 * KIB,
        le=512 * MIB,
        description="Largest content of a message: decompressed, and as lines. This is memory.",
    )
    event_bytes: int = Field(
        1 * MIB, ge=1 * KIB, le=64 * MIB, description="Largest single event, as msgpack."
    )
    long_messages: int = Field(
        2,
        ge=1,
        le=256,
        description="Messages above 8 KiB that are read at a time; others wait in the network.",
    )
    under_way_bytes: int = Field(
        16 * MIB,
        ge=64 * KIB,
        description="Lines of all clients that the bus has not acknowledged; past it nothing is "
        "read.",
    )
    connection_bytes: int = Field(
        4 * MIB, ge=64 * KIB, description="The same of one client; past it that one is not read."
    )
    handshake_s: float = Field(
        10.0, gt=0, le=300, description="For TLS and the shared key, else the client must go."
    )
    message_s: float = Field(
        60.0, gt=0, le=3600, description="For a message above 8 KiB, once it is being read."
    )
    idle_s: float = Field(
        3600.0, gt=0, description="A client that is silent for so long must connect anew."
    )
    remember_chunks: int = Field(
        16_384,
        ge=0,
        le=1_000_000,
        description="Chunk ids kept, so that what a client sends again is not stored again.",
    )
    files: int = Field(
        1000, ge=1, le=100_000, description="Logs (tag and pod) that the ledger has open."
    )
    file_bytes: int = Field(
        256 * MIB, ge=64 * KIB, description="The ledger begins a new file of a log after so much."
    )
    quiet_s: float = Field(
        300.0, gt=0, description="A log that is silent for so long is finished in the ledger."
    )

    @model_validator(mode="after")
    def _exposed(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("`cert_file` and `key_file` go together")
        if self.users and self.shared_key_file is None:
            raise ValueError("`users` go with `shared_key_file`: the protocol asks for both")
        if not self.listen:
            return self
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise ValueError("`listen` is not HOST:PORT, for example 127.0.0.1:24224")
        if not is_loopback(host.strip("[]")) and not (self.cert_file and self.shared_key_file):
            raise ValueError(
                f"{self.listen} is not loopback: give `cert_file`, `key_file` and "
                "`shared_key_file`, or listen on 127.0.0.1"
            )
        return self
