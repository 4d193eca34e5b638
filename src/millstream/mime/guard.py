"""The guard before every header: nothing that a person or a file gave may forge a further header."""

import re

from millstream.mime.errors import HeaderInjection, UnencodableText

_FORGERY = re.compile(r"[\r\n\x00]")


def guard(header: str, value: str) -> str:
    """Give the value back if it can neither forge a header nor fail to be written.

    Raises:
        HeaderInjection: a CR, LF or NUL in it.
        UnencodableText: half a surrogate pair in it.
    """
    if _FORGERY.search(value):
        raise HeaderInjection(header, value)
    if not value.isascii():
        utf8(header, value)
    return value


def utf8(field: str, text: str) -> bytes:
    """The text's UTF-8 form.

    Raises:
        UnencodableText: half a surrogate pair in it.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as problem:
        raise UnencodableText(field, problem.start) from problem
