"""How to reach Apache Kafka: from configuration to the client library's options; errors.

kafka-python logs every reconnect at ERROR: its loggers are silenced unless somebody has set their
level, because all that matters comes back as one of our errors or as a notice.
"""

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import Fatal, Fenced, KubeledgerError, Rejected, Unavailable, UsageError
from pipeline.broker.kafka_library import KafkaNetClient, errors

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
        made.append(KafkaNetClient(**settings))
        return made[-1]

    try:
        with foreign_errors(f"connecting to {', '.join(options['bootstrap_servers'])}"):
            return make(kafka_client=network, **options)
    except BaseException:
        for client in made:
            with suppress(Exception):  # half-made already: the first error is the one to report
                client._net.stop(timeout_ms=1000)
                client.close()
        raise


@contextmanager
def foreign_errors(doing: str) -> Iterator[None]:
    """The library's errors become ours."""
    try:
        yield
    except (errors.KafkaError, OSError, RuntimeError, ValueError) as error:
        raise translate(doing, error) from error


def translate(doing: str, error: BaseException) -> KubeledgerError:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, KubeledgerError):
        return error
    if isinstance(error, _FENCED):
        return Fenced(f"Kafka, {doing}: this member lost its partitions ({what}); poll again")
    if isinstance(error, REFUSED):
        return Rejected(f"Kafka, {doing}: refused for good ({what})")
    if isinstance(error, _FORBIDDEN):
        return Fatal(f"Kafka, {doing}: not allowed ({what}); check user, password file and ACLs")
    if isinstance(error, _PASSING):
        return Unavailable(f"Kafka, {doing}: {what}; is the broker up and reachable?")
    return Fatal(f"Kafka, {doing}: {what}")


def _tls(config: "BrokerConfig") -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
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
