"""The e-mail output channel: composed HTML as the body, PDFs attached, sent by SMTP as any mail server takes it."""

import queue
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, formatdate
from typing import Final

from millstream.sandbox.exstream.flows import SmtpChannel
from millstream.sandbox.exstream.jobs import Customer, FlowInstance
from millstream.sandbox.exstream.tree import content_of, filled

PATIENCE_SECONDS: Final = 60.0
_PERMANENT: Final = range(500, 600)


class MailRefused(Exception):
    """The server refuses a message for good."""


class Mailer:
    """Connections to one mail server; `send` may be called in several threads."""

    def __init__(self, channel: SmtpChannel) -> None:
        self._channel = channel
        self._idle: queue.SimpleQueue[smtplib.SMTP] = queue.SimpleQueue()
        self._is_closed = False

    def send(self, flow: FlowInstance, customer: Customer) -> None:
        """Send one customer's mail. Raises `MailRefused`, or `OSError` for what may be tried again."""
        address = str(customer.recipient.get("address") or "")
        try:
            content = message(self._channel, flow, customer).as_bytes()
            if not address.isascii() or "@" not in address:
                raise ValueError(f"{address!r} is no address for plain SMTP")  # noqa: TRY301  told apart just below
        except ValueError as error:
            raise MailRefused(f"customer {customer.id} cannot be mailed: {error}") from None
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
        try:
            connection.sendmail(self._channel.sender, [address], content)
        except smtplib.SMTPRecipientsRefused as error:
            connection.close()
            code, said = error.recipients[address]
            raise _translated(code, said, address) from None
        except smtplib.SMTPResponseException as error:
            connection.close()  # after a refusal it may be at its end
            raise _translated(error.smtp_code, error.smtp_error, address) from None
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)
        if self._is_closed:  # a thread that nobody waited for
            self.close()

    def _connect(self) -> smtplib.SMTP:
        channel = self._channel
        context = ssl.create_default_context()
        if not channel.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if channel.tls == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                channel.host, channel.port, timeout=PATIENCE_SECONDS, context=context
            )
        else:
            connection = smtplib.SMTP(channel.host, channel.port, timeout=PATIENCE_SECONDS)
        try:
            if channel.tls == "starttls":
                connection.starttls(context=context)
            if channel.user is not None:
                connection.login(channel.user, channel.password or "")
        except smtplib.SMTPResponseException as error:
            connection.close()
            raise _translated(error.smtp_code, error.smtp_error, channel.host) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Hang up everywhere."""
        self._is_closed = True
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return
            try:
                connection.quit()
            except (OSError, smtplib.SMTPException):
                connection.close()


def _translated(code: int, said: bytes | str, about: str) -> Exception:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    sentence = f"mail for {about}: {code} {text}"
    return MailRefused(sentence) if code in _PERMANENT else ConnectionError(sentence)


def message(channel: SmtpChannel, flow: FlowInstance, customer: Customer) -> EmailMessage:
    """One customer's mail; the same bytes however often it is made, so that a second try is the same message."""
    letter = EmailMessage(policy=SMTP)
    name, address = str(customer.recipient.get("name") or ""), str(customer.recipient.get("address") or "")
    letter["From"] = channel.sender
    letter["To"] = formataddr((name, address)) if name.isascii() else address
    letter["Subject"] = customer.subject
    letter["Date"] = formatdate(flow.job.started)
    letter["Message-ID"] = f"<{flow.job.id}.{customer.in_job}@exstream.example>"
    words = {
        "job": flow.job.id, "flow": flow.id, "channel": flow.job.model.service, "customer": customer.id,
        "type": customer.type, "stream": str(customer.record.get("stream") or customer.type), "key": customer.key,
    }  # fmt: skip
    for header, value in channel.headers.items():
        letter[header] = " ".join(filled(value, words).split())
    letter.set_content(customer.text or "\n")
    files = [(made, content_of(flow, made.place)) for made in customer.files]
    for made, content in files:
        if made.driver == "HTML":
            letter.add_alternative(content.decode(), subtype="html")
    for made, content in files:
        if made.driver == "PDF":
            letter.add_attachment(content, maintype="application", subtype="pdf", filename=made.name)
    boundary = f"{flow.job.id}.{customer.in_job}"
    for at, part in enumerate(one for one in letter.walk() if one.is_multipart()):
        part.set_boundary(f"={at}_{boundary}")
    return letter
