"""How to reach Apache Kafka: from configuration to the client library's options; errors.

kafka-python logs every reconnect at ERROR: its loggers are silenced unless somebody has set their
level, because all that matters comes back as one of our errors or as a notice.
"""

import logging
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import Fatal, Fenced, KubeledgerError, Rejected, Unavailable, UsageError
from pipeline.base.tls import client_tls
from pipeline.broker.kafka_library import errors, net_client

if TYPE_CHECKING:
    from pipeline.broker.config import BrokerConfig

Options = dict[str, Any]

BOOTSTRAP_MS = 10_000

_FENCED = (
    errors.CommitFailedError,
    errors.RebalanceInProgressError,
    errors.IllegalGenerationError,
    errors.UnknownMemberIdError,
    errors.FencedInstanceIdError,
)
REFUSED = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidRecordError,
    errors.InvalidTimestampError,
    errors.OffsetMetadataTooLargeError,
)
_FORBIDDEN = (
    errors.AuthorizationError,
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
)
_FOREIGN = (errors.KafkaError, OSError, RuntimeError, ValueError)
_PASSING = (
    errors.RetriableError,
    errors.NotControllerError,
    errors.BrokerNotAvailableError,
    errors.UnknownBrokerIdError,
    errors.InvalidReceiveError,
    OSError,
)


def connection_options(servers: list[str], config: "BrokerConfig") -> Options:
    """What all clients share. Reads the password file; the password goes nowhere else."""
    _need_fast_checksums()
    _silence_client_logs()
    options: Options = {
        "bootstrap_servers": servers,
        "client_id": "kubeledger",
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "reconnect_backoff_max_ms": 2_000,
        "metrics_enabled": False,
        "allow_auto_create_topics": False,
    }
    if config.security == "plaintext":
        return options
    options["ssl_context"] = _tls(config)
    if config.security == "tls":
        return options | {"security_protocol": "SSL"}
    return options | {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": config.sasl_mechanism,
        "sasl_plain_username": config.username,
        "sasl_plain_password": _password(config),
    }


def connect(make: Callable[..., Any], options: Options) -> Any:
    """Make a client of the library. Its constructors connect, and leave sockets and threads
    behind when they fail; here those are closed."""
    made: list[Any] = []

    def network(**settings: Any) -> Any:
        made.append(net_client(**settings))
        return made[-1]

    try:
        return make(kafka_client=network, **options)
    except BaseException as error:
        # Time-outs come after what they are for: a wrong password is tried until time is over.
        failures = [failure for client in made for failure in client._manager.failures]
        for client in made:
            with suppress(Exception):  # half-made already: the first error is the one to report
                client._net.stop(timeout_ms=1000)
                client.close()
        if not isinstance(error, _FOREIGN):
            raise
        if isinstance(error, errors.KafkaTimeoutError) and failures:
            error = max(reversed(failures), key=_tells)
        raise translate(
            f"connecting to {', '.join(options['bootstrap_servers'])}", error
        ) from error


def _tells(failure: BaseException) -> int:
    """How much it says of the cause."""
    return 2 if isinstance(failure, _FORBIDDEN) else int("SSL" in str(failure))


@contextmanager
def foreign_errors(doing: str) -> Iterator[None]:
    """The library's errors become ours."""
    try:
        yield
    except _FOREIGN as error:
        raise translate(doing, error) from error


def translate(doing: str, error: BaseException) -> KubeledgerError:
    if isinstance(error, KubeledgerError):
        return error
    name = type(error).__name__
    # the library's texts begin with the name, some of them twice
    text = re.sub(rf"^(\[Error \d+\] )?({name}:? ?)*", "", str(error))
    what = f"{name}: {text}" if text else name
    if isinstance(error, _FENCED):
        return Fenced(f"Kafka, {doing}: this member lost its partitions ({what}); poll again")
    if isinstance(error, REFUSED):
        return Rejected(f"Kafka, {doing}: refused for good ({what})")
    if isinstance(error, _FORBIDDEN):
        return Fatal(f"Kafka, {doing}: not allowed ({what}); check user, password file and ACLs")
    if isinstance(error, _PASSING):
        return Unavailable(f"Kafka, {doing}: {what}; {_advice(what)}")
    return Fatal(f"Kafka, {doing}: {what}")


def _advice(what: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in what:
        return "check broker.ca_file, and that the broker's certificate has the name in broker.url"
    if "ALERT" in what:
        return "the broker refuses our certificate: check broker.cert_file and broker.key_file"
    if "SSL" in what or "InvalidReceive" in what:
        return "is broker.security what this port expects?"
    if "socket disconnected" in what:  # said of a refused password, too, if its answer comes late
        return "is broker.security what this port expects? if so, check user and password file"
    return "is the broker up and reachable?"


def _tls(config: "BrokerConfig") -> ssl.SSLContext:
    try:
        context = client_tls(config.ca_file)
        if config.cert_file is not None:
            context.load_cert_chain(config.cert_file, config.key_file)
    except OSError as error:  # ssl.SSLError is one
        files = [str(f) for f in (config.ca_file, config.cert_file, config.key_file) if f]
        raise UsageError(f"broker TLS: cannot use {', '.join(files)}: {error}") from error
    return context


def _password(config: "BrokerConfig") -> str:
    path: Path | None = config.password_file
    if not config.username or path is None:
        raise UsageError("broker.security sasl_tls needs broker.username and broker.password_file")
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"broker.password_file {path}: cannot be read: {error}") from error


def _need_fast_checksums() -> None:
    """Without the C extension kafka-python checks sums in Python at 13 MB/s, silently."""
    try:
        import crc32c  # noqa: F401
    except ImportError as error:
        raise Fatal("the package crc32c is missing; install it: pip install crc32c") from error


def _silence_client_logs() -> None:
    logger = logging.getLogger("kafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL + 1)
