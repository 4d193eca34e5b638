"""Every reply of the sandbox's relay.

Words with a number behind them are Google's, as its pages (https://support.google.com/a/answer/3726730 and 6140680,
read 2026-11) and senders' logs show them; decide on code and enhanced code, for words change.
"""

from typing import Final

from millstream.sandbox.gmail.faults import Kind

GREETING: Final = "220 smtp-relay.gmail.com ESMTP Millstream sandbox - gsmtp"
GOODBYE: Final = "221 2.0.0 closing connection - gsmtp"
READY_FOR_TLS: Final = "220 2.0.0 Ready to start TLS"
ACCEPTED: Final = "235 2.7.0 Accepted"
SENDER_OK: Final = "250 2.1.0 OK - gsmtp"
RECIPIENT_OK: Final = "250 2.1.5 OK - gsmtp"
FLUSHED: Final = "250 2.1.5 Flushed - gsmtp"
OK: Final = "250 2.0.0 OK - gsmtp"
GO_AHEAD: Final = "354 Go ahead - gsmtp"
NOT_VERIFIED: Final = "252 2.1.5 Send some mail, I'll try my best - gsmtp"

UNKNOWN_COMMAND: Final = "502 5.5.1 Unrecognized command. - gsmtp"
SYNTAX: Final = "555 5.5.2 Syntax error. - gsmtp"
PARAMETER: Final = "555 5.5.4 Unsupported parameter. - gsmtp"
LINE_TOO_LONG: Final = "500 5.5.2 Line too long. - gsmtp"
EHLO_FIRST: Final = "503 5.5.1 EHLO/HELO first. - gsmtp"
MAIL_FIRST: Final = "503 5.5.1 MAIL first. - gsmtp"
RCPT_FIRST: Final = "503 5.5.1 RCPT first. - gsmtp"
NESTED: Final = "503 5.5.1 Only one MAIL in a transaction. - gsmtp"
NO_RECIPIENT_TOOK: Final = "421 4.5.2 A message came though no recipient was taken, closing connection. - gsmtp"
TLS_FIRST: Final = "530 5.7.0 Must issue a STARTTLS command first. - gsmtp"
TLS_ALREADY: Final = "503 5.5.1 STARTTLS may not be repeated. - gsmtp"
TLS_AWAY: Final = "454 4.7.0 TLS not available. - gsmtp"
AUTH_ALREADY: Final = "503 5.5.1 No identity changes permitted. - gsmtp"
AUTH_UNKNOWN: Final = "504 5.7.4 Unrecognized Authentication Type. - gsmtp"
AUTH_CANCELLED: Final = "501 5.5.2 Cannot Decode response. - gsmtp"
NEEDS_UTF8: Final = "553 5.6.7 The address needs SMTPUTF8. - gsmtp"
IDLE: Final = "421 4.4.2 Timeout - closing connection. - gsmtp"
TOO_LARGE: Final = (
    "552 5.3.4 Your message exceeded Google's message size limits. For more information, go to "
    "https://support.google.com/mail/?p=MaxSizeError - gsmtp"
)
TOO_MANY_RECIPIENTS: Final = "452 4.5.3 Your message has too many recipients. - gsmtp"
GREETING_REFUSED: Final = "421 4.7.0 Try again later, closing connection. (EHLO) - gsmtp"
LOGIN_REFUSED: Final = (
    "535 5.7.8 Username and Password not accepted. For more information, go to "
    "https://support.google.com/mail/?p=BadCredentials - gsmtp"
)
SENDER_REFUSED: Final = "553 5.1.7 The sender is not among those that may use this relay. - gsmtp"
"""The wording is not on record; allowed senders are a setting of the admin console."""

USER_DAY: Final = (
    "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to "
    "https://support.google.com/a/answer/166852 - gsmtp"
)
RELAY_USER_DAY: Final = (
    "550 5.4.5 Daily SMTP relay limit exceeded for user. For more information on SMTP relay sending limits go to "
    "https://support.google.com/a/answer/6140680 - gsmtp"
)
CUSTOMER_DAY: Final = (
    "550 5.7.1 Daily SMTP relay limit exceeded for customer. For more information on SMTP relay sending limits go to "
    "https://support.google.com/a/answer/6140680 - gsmtp"
)
CUSTOMER_PEAK: Final = (
    "450 4.2.1 Peak SMTP relay limit exceeded for customer. For more information on SMTP relay sending limits go to "
    "https://support.google.com/a/answer/6140680 - gsmtp"
)
UNUSUAL_RATE: Final = "421 4.7.28 Our system has detected an unusual rate of mail. Please try again later. - gsmtp"
TRY_AGAIN: Final = "451 4.3.0 Mail server temporarily rejected message. - gsmtp"

NOT_A_REPLY: Final = b"<html><head><title>502 Bad Gateway</title></head></html>\r\n"


def denied(address: str) -> str:
    """A client that is neither known by its address nor logged in."""
    return (
        f"550 5.7.1 Invalid credentials for relay [{address}]. The IP address you've registered doesn't match the "
        "domain of the account this email is being sent from. - gsmtp"
    )


REFUSALS: Final = {
    Kind.MAIL_SENDING: USER_DAY,
    Kind.RATE_LIMITED: UNUSUAL_RATE,
    Kind.USER_RATE_LIMITED: UNUSUAL_RATE,
    Kind.RATE_LIMITED_429: UNUSUAL_RATE,
    Kind.EXHAUSTED: CUSTOMER_PEAK,
    Kind.RELAY_USER_DAY: RELAY_USER_DAY,
    Kind.RELAY_CUSTOMER_DAY: CUSTOMER_DAY,
    Kind.RELAY_PEAK: CUSTOMER_PEAK,
    Kind.RELAY_RATE: UNUSUAL_RATE,
    Kind.CLOSING_421: "421 4.3.0 Temporary System Problem. Try again later, closing connection. - gsmtp",
    Kind.BUSY_451: TRY_AGAIN,
    Kind.GREYLISTED: "450 4.2.0 Greylisted, please try again later. - gsmtp",
    Kind.RECIPIENT_BUSY: "452 4.2.2 The recipient's inbox is out of storage space. Try again later. - gsmtp",
    Kind.RECIPIENT_REFUSED: "550 5.1.1 The email account that you tried to reach does not exist. - gsmtp",
    Kind.TOO_LARGE: TOO_LARGE,
    Kind.BLOCKED: "552 5.7.0 This message was blocked because its content presents a potential security issue. - gsmtp",
    Kind.DENIED: "550 5.7.0 Mail relay denied. - gsmtp",
    Kind.SENDER_REFUSED: SENDER_REFUSED,
    Kind.LOGIN_REFUSED: LOGIN_REFUSED,
    Kind.LOGIN_AWAY: "454 4.7.0 Cannot authenticate due to temporary system problem. Try again later. - gsmtp",
    Kind.GREETING_REFUSED: GREETING_REFUSED,
    Kind.TLS_AWAY: TLS_AWAY,
}
"""What a fault says in the place of a reply; every other kind says `TRY_AGAIN`."""
