"""The relay road: Google's SMTP relay, for more than mailboxes may send through the API.

`Relay` hands a message over in two steps, `open` and `finish`, so that the ledger can say *sending* just before the dot
that makes it so (docs/decisions/0029).
"""

from millstream.gmail.relay.errors import AfterDot, RelayError
from millstream.gmail.relay.options import Login, RelayOptions
from millstream.gmail.relay.ports import Envelope, Facts, Relay, Slip, Taken
from millstream.gmail.relay.transport import SmtpRelay

__all__ = [
    "AfterDot",
    "Envelope",
    "Facts",
    "Login",
    "Relay",
    "RelayError",
    "RelayOptions",
    "Slip",
    "SmtpRelay",
    "Taken",
]
