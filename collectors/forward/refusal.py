"""Why a client's message is not taken. The message is a sentence for people; `kind` is short and
countable."""


class Refused(Exception):
    """`tag` and `asked` (for an acknowledgement): of the message, as far as it got."""

    def __init__(self, kind: str, why: str, *, size: int = 0) -> None:
        super().__init__(why)
        self.kind = kind
        self.size = size  # bytes of the message, as far as they are known
        self.tag: str | None = None
        self.asked: bool | None = None


# Kinds
NOT_MSGPACK = "not-msgpack"  # bytes that are no msgpack, or end in the middle
WRONG_TYPE = "wrong-type"  # msgpack, but not what the protocol says
TOO_LARGE = "too-large"  # past a limit of the settings
BAD_FRAME = "bad-frame"  # gzip or zstd that cannot be read
NOT_LOGS = "not-logs"  # metrics or traces
UNAUTHORIZED = "unauthorized"  # wrong key, user or password
SLOW = "slow"  # past a time limit
FULL = "full"  # too many connections
CUT = "cut"  # the connection ended in the middle of a message
