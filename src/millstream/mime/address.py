"""Addresses: parsed, judged without DNS, and brought into the form that travels."""

import re
from typing import Final

from email_validator import EmailNotValidError, validate_email

from millstream.mime.errors import BadAddress
from millstream.mime.letter import Mailbox

_NAMED = re.compile(r"(?P<name>[^<>]*?)\s*<(?P<address>[^<>]*)>")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# The form that parse_address gives out and that needs no second judgement: dot-atom @ host name (RFC 5321 §4.1.2).
_WIRE_FORM = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")
_LONGEST: Final = 254  # RFC 3696 erratum 1690: a path of 256 octets less its angle brackets


def parse_address(text: str, *, smtputf8: bool = False) -> Mailbox:
    """Read ``a@b.example`` or ``Name <a@b.example>``.

    An international domain becomes its A-label. A local part beyond ASCII is refused unless ``smtputf8``
    says that the way to the recipient speaks RFC 6531. Domains reserved for tests and documents
    (``*.test``, ``*.example``, ``example.com``) are accepted; DNS is never asked.

    Raises:
        BadAddress: with the address and the reason.
    """
    if _UNSAFE.search(text):
        raise BadAddress(text, "it holds a line break or another control character.")
    name, address = _named(text)
    try:
        valid = validate_email(
            address,
            allow_smtputf8=smtputf8,
            strict=True,
            check_deliverability=False,
            test_environment=True,
            globally_deliverable=True,
        )
    except EmailNotValidError as refusal:
        raise BadAddress(text, str(refusal)) from refusal
    except UnicodeError as refusal:
        raise BadAddress(text, "it holds characters that no mail system can carry.") from refusal
    return Mailbox(name, valid.ascii_email or f"{valid.local_part}@{valid.ascii_domain}")


def wire_address(address: str, *, smtputf8: bool = False) -> str:
    """The address as it stands in a header; one that is already in wire form costs a single match.

    Raises:
        BadAddress: with the address and the reason.
    """
    if len(address) <= _LONGEST and _WIRE_FORM.fullmatch(address):
        return address
    parsed = parse_address(address, smtputf8=smtputf8)
    if parsed.name:
        raise BadAddress(address, "a display name stands in the place of the address.")
    return parsed.address


def plus_address(address: str, token: str) -> str:
    """``statements@bank.example`` and ``T1`` make ``statements+T1@bank.example``.

    Gmail delivers local+anything to local, so one inbox takes the answers to every delivery.

    Raises:
        BadAddress: when the address is none, or the token makes it one that is too long or malformed.
    """
    wire = wire_address(address)
    local, _, domain = wire.rpartition("@")
    joined = f"{local}+{token}@{domain}"
    if len(joined) > _LONGEST or not _WIRE_FORM.fullmatch(joined):
        raise BadAddress(joined, "the reply token makes it malformed or longer than 64 characters before the @.")
    return joined


def plus_token(address: str) -> str | None:
    """The token in ``local+TOKEN@domain``, or None: the inverse of plus_address."""
    local, _, _ = address.rpartition("@")
    _, plus, token = local.partition("+")
    return token if plus and token else None


def _named(text: str) -> tuple[str, str]:
    """The display name, out of its quotes, and the address; a name in any language need not be quoted."""
    text = text.strip()
    match = _NAMED.fullmatch(text)
    if match is None:
        return "", text
    name = match["name"]
    if len(name) >= len('""') and name.startswith('"') and name.endswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name, match["address"].strip()
