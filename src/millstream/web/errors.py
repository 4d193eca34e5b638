"""What can go wrong with the web room itself.

WebError
└── AddressUnusable     the address is taken, not this machine's, or not ours to listen at
"""


class WebError(Exception):
    """Anything that the web room reports."""


class AddressUnusable(WebError):
    """We cannot listen there."""

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(
            f"cannot listen at {host} port {port}: {why}. Choose another port, or end what listens there already."
        )
