"""One tree of errors. Every message says what happened, where, and what to do.

KubeledgerError
 ├── UsageError           configuration or command line is wrong (exit 2)
 ├── Unavailable          the far side is away or slow; trying again is right
 ├── Fenced               this member no longer owns the partition; drop its state, join again
 ├── Rejected             the far side refuses this data for good; it must become a dead letter
 └── Fatal                going on would lose or repeat data; a person must act (exit 1)

Foreign exceptions are turned into these at each client's door, and chained.
"""


class KubeledgerError(Exception):
    """Base of everything this project raises on purpose."""

    exit_code = 1


class UsageError(KubeledgerError):
    """The configuration or the command line is wrong."""

    exit_code = 2


class Unavailable(KubeledgerError):
    """The far side did not answer, or said that it cannot now."""


class Fenced(KubeledgerError):
    """Another member owns the partition now."""


class Rejected(KubeledgerError):
    """This data will never be accepted."""


class Fatal(KubeledgerError):
    """Stop, and tell a person what to do."""
