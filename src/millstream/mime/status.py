"""What a mail server says of one recipient, and what follows from its code. Every table of codes stands here.

Codes are RFC 3463's ``class.subject.detail``: class 2 done, 4 may pass, 5 will not. Where a server only gives SMTP's
three digits, RFC 5321 §4.2.3 says what they mean. Words are never read; they come in the reader's language.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ENHANCED = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?!\.?\d)")
BASIC = re.compile(r"(?<![\d.#])[45]\d\d(?=[ \-:#]|$)")
# "5.4.5 Daily user sending limit exceeded"; 4.7.x are the rate limits of support.google.com/a/answer/6140680.
_LIMIT = re.compile(r"5\.4\.5|4\.7\.\d{1,3}")
_UNSPECIFIC: Final = ("", "4.0.0", "5.0.0")

# The address itself is wrong: nothing sent to it can ever arrive (RFC 3463 §3.2, §3.3 unless said otherwise).
_BAD_ADDRESS: Final = frozenset(
    {
        "1.1",  # no such mailbox
        "1.2",  # no such domain
        "1.3",  # no address at all
        "1.6",  # moved, and nobody says where to
        "1.10",  # the domain takes no mail: null MX (RFC 7505 §4.2); Exchange Online: recipient not found
        "2.1",  # the mailbox is disabled
        "4.4",  # no way to the domain: what Postfix says of a domain without any host (its smtp(8), 2026)
    }
)
# Class 5, yet about a state that passes: a later message may arrive (RFC 3463 §3.3 to §3.5).
_PASSING: Final = frozenset(
    {
        "2.2",  # the mailbox is full
        "3.1",  # the server is full
        "3.2",  # the server takes nothing now
        "4.2",  # the connection broke
        "4.5",  # congestion; Google's daily sending limit when Google itself says it
        "4.7",  # the time ran out
        "4.300",  # the same in Exchange Online's numbering
        "4.316",  # the same, connection refused to the end (learn.microsoft.com, non-delivery reports, 2026)
    }
)
# SMTP replies without an enhanced code: storage, and everything of class 4 (RFC 5321 §4.2.3).
_PASSING_REPLIES: Final = frozenset({"552"})
# Google names its reasons in the link it adds, the same in every language. 5.2.1 with this one is a mailbox that gets
# too much at once and not a disabled one (seen in public reports up to 2026).
_TOO_FAST = re.compile(r"[?&]p=ReceivingRate")
_NO_FAILURE: Final = frozenset({"delivered", "relayed", "expanded"})


class Severity(StrEnum):
    """What became of a message that a server reports on, the worst last."""

    DELAYED = "delayed"  # under way; the server tries on
    SOFT = "soft"  # given up for now; a later message may arrive
    HARD = "hard"  # refused for good


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What a report says of one recipient (RFC 3464 §2.3); empty where it says nothing.

    ``recipient`` is where the server in the end tried to deliver, ``original`` where we had sent to if that is another.
    """

    recipient: str
    action: str
    status: str
    remote_mta: str = ""
    diagnostic: str = ""
    original: str = ""

    @property
    def code(self) -> str:
        """The most exact enhanced code: from the remote server's words when the report's own is a mere x.0.0."""
        if self.status not in _UNSPECIFIC:
            return self.status
        found = ENHANCED.search(self.diagnostic)
        if found and found[0][0] == (self.status or found[0])[0]:
            return found[0]
        return self.status

    @property
    def severity(self) -> Severity | None:
        """None when nothing failed: a receipt that the message was delivered or handed on."""
        if self.action in _NO_FAILURE or self.code.startswith("2"):
            return None
        if self.action == "delayed":
            return Severity.DELAYED
        return Severity.SOFT if self._passes else Severity.HARD

    @property
    def permanent(self) -> bool:
        """Whether the server will not try again and a new try would fail as well."""
        return self.severity is Severity.HARD and not self.about_sender

    @property
    def address_is_bad(self) -> bool:
        """Whether the address is to blame, for any sender and any message: reason enough to send nothing more to it.

        A refusal by policy, size or content (5.7.x, 5.3.4, 5.6.x) is final for this message and says nothing of
        the address. Without an enhanced code nothing is known.
        """
        class_, _, detail = self.code.partition(".")
        return self.severity is Severity.HARD and class_ == "5" and detail in _BAD_ADDRESS

    @property
    def about_sender(self) -> bool:
        """Whether the sender's limit, not the recipient, stopped the message, and nobody will try again.

        A delayed message is still under way: sending it once more would make two. A remote server's word is
        about that server.
        """
        return self.action != "delayed" and not self.remote_mta and bool(_LIMIT.fullmatch(self.status))

    @property
    def _passes(self) -> bool:
        class_, _, detail = self.code.partition(".")
        if class_ == "4" or detail in _PASSING or _TOO_FAST.search(self.diagnostic):
            return True
        if self.code not in _UNSPECIFIC:
            return False
        reply = BASIC.search(self.diagnostic)
        return reply is not None and (reply[0].startswith("4") or reply[0] in _PASSING_REPLIES)


def is_limit(text: str) -> bool:
    """Whether a text holds a code that only a sender's limit has."""
    return any(_LIMIT.fullmatch(code[0]) for code in ENHANCED.finditer(text))
