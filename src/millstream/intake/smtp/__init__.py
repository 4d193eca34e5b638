"""The door for SMTP: what an Exstream or StreamServe mail connector is pointed at."""

from typing import TYPE_CHECKING

from millstream import lazy

if TYPE_CHECKING:
    from millstream.intake.smtp.messages import MessagesSource, open_messages
    from millstream.intake.smtp.options import EnvelopeRule, MailMap, SmtpOptions
    from millstream.intake.smtp.server import SmtpDoor
else:
    # A worker reads messages and never listens: it shall not pay for a server.
    __getattr__ = lazy.names(
        __name__,
        {
            "EnvelopeRule": "options",
            "MailMap": "options",
            "MessagesSource": "messages",
            "SmtpDoor": "server",
            "SmtpOptions": "options",
            "open_messages": "messages",
        },
    )

__all__ = ["EnvelopeRule", "MailMap", "MessagesSource", "SmtpDoor", "SmtpOptions", "open_messages"]
