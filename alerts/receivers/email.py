"""Mail: SMTP with STARTTLS or TLS. All of a group is one thread."""

import smtplib
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from hashlib import blake2b
from pathlib import Path

from alerts.notify import Message
from alerts.receivers.text import Texts, lines, title
from pipeline.base.errors import Rejected, Unavailable
from pipeline.base.tls import client_tls

_SUBJECT = 200


class Mail:
    """`security`: starttls, tls, or plaintext (loopback relays)."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        to: Sequence[str],
        texts: Texts,
        security: str,
        username: str = "",
        password: Callable[[], str] | None = None,
        ca_file: Path | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._host, self._port = host, port
        self._from, self._to = sender, list(to)
        self._texts = texts
        self._security = security
        self._username, self._password = username, password
        self._ca_file = ca_file
        self._timeout_s = timeout_s

    def send(self, message: Message) -> None:
        mail = EmailMessage()
        # a line break in a subject would begin another header
        mail["Subject"] = " ".join(title(message, self._texts).split())[:_SUBJECT]
        mail["From"], mail["To"] = self._from, ", ".join(self._to)
        thread = blake2b(message.group.encode(), digest_size=12).hexdigest()
        mail["References"] = f"<{thread}@kubeledger>"
        mail.set_content("\n".join(lines(message, self._texts)) + "\n")
        try:
            with self._connect() as smtp:
                refused = smtp.send_message(mail)
        except smtplib.SMTPResponseException as error:
            said = f"{self._host} answered {error.smtp_code}: {error.smtp_error!r:.200}"
            raise (Rejected if error.smtp_code >= 500 else Unavailable)(said) from error
        except smtplib.SMTPRecipientsRefused as error:
            raise Rejected(f"{self._host} refuses {', '.join(error.recipients)}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(f"{self._host} does not answer: {type(error).__name__}") from error
        if refused:
            raise Rejected(f"{self._host} refuses {', '.join(refused)}")

    def _connect(self) -> smtplib.SMTP:
        context = client_tls(self._ca_file)
        smtp: smtplib.SMTP
        if self._security == "tls":
            smtp = smtplib.SMTP_SSL(
                self._host, self._port, timeout=self._timeout_s, context=context
            )
        else:
            smtp = smtplib.SMTP(self._host, self._port, timeout=self._timeout_s)
        if self._security == "starttls":
            smtp.starttls(context=context)
        if self._username and self._password is not None:
            smtp.login(self._username, self._password())
        return smtp
