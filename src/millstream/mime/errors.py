"""What can be wrong with a letter.

MimeError                    one letter cannot be written; only that letter is harmed
├── BadAddress               an address that no mail system would take
├── UnencodableText          text with half a surrogate pair: it has no UTF-8 form
└── BadHeader                a value that its header cannot carry
    └── HeaderInjection      a line break or NUL that would forge further headers
"""


class MimeError(ValueError):
    """A letter cannot be written as a message; the text says what, where and what to do."""


class BadAddress(MimeError):
    """An address that is no address; ``address`` and ``why`` hold the pieces of the sentence."""

    def __init__(self, address: str, why: str) -> None:
        self.address = address
        self.why = why
        super().__init__(f"{address!r} is not an email address: {why} Correct it in the customer's record.")


class UnencodableText(MimeError):
    """Text that has no UTF-8 form; ``field`` names it and ``position`` is the first bad character."""

    def __init__(self, field: str, position: int) -> None:
        self.field = field
        self.position = position
        super().__init__(
            f"{field} holds half a surrogate pair at character {position}: it has no UTF-8 form. "
            "Correct the text where it is written, usually by decoding it with the right character set."
        )


class BadHeader(MimeError):
    """A value that its header cannot carry; ``header`` names it."""

    def __init__(self, header: str, why: str) -> None:
        self.header = header
        self.why = why
        super().__init__(f"the header {header} cannot be written: {why}")


class HeaderInjection(BadHeader):
    """A line break or NUL inside a header value, which would forge further headers."""

    def __init__(self, header: str, value: str) -> None:
        self.value = value
        super().__init__(
            header,
            f"its value {value[:80]!r} holds a line break or NUL, which would forge further headers. "
            "Remove it from the data.",
        )
