"""The header lines Gmail puts above what it receives."""

from typing import Final

from millstream.sandbox.gmail.world import World

RELAY_ADDRESS: Final = "192.0.2.41"
"""The sending host's address in stamps: a documentation address (RFC 5737), for no real one was involved."""


def delivery_stamp(world: World, *, envelope_sender: str, recipient: str, header_from: str) -> bytes:
    """The lines of one delivery, topmost first, ending in CRLF.

    Order as in Gmail's own messages: Delivered-To, Received by, Return-Path, Received from, Received-SPF,
    Authentication-Results. A domain that sent through the sandbox passes every check, its mail came from itself.
    """
    now = world.clock.seconds()
    date = world.clock.stamp()
    token = f"{int(now * 1000):x}"
    domain = header_from.rpartition("@")[2] or envelope_sender.rpartition("@")[2]
    spf_subject = f"domain of {envelope_sender} designates {RELAY_ADDRESS} as permitted sender"
    return (
        f"Delivered-To: {recipient}\r\n"
        f"Received: by 2001:db8:a05:6a20::1 with SMTP id s{token};\r\n        {date}\r\n"
        f"Return-Path: <{envelope_sender}>\r\n"
        f"Received: from mail-sandbox.google.com (mail-sandbox.google.com. [{RELAY_ADDRESS}])\r\n"
        f"        by mx.google.com with SMTPS id m{token}\r\n"
        f"        for <{recipient}>;\r\n        {date}\r\n"
        f"Received-SPF: pass (google.com: {spf_subject}) client-ip={RELAY_ADDRESS};\r\n"
        f"Authentication-Results: mx.google.com;\r\n"
        f"       dkim=pass header.i=@{domain} header.s=google header.b=AbCdEfGh;\r\n"
        f"       spf=pass (google.com: {spf_subject}) smtp.mailfrom={envelope_sender};\r\n"
        f"       dmarc=pass (p=NONE sp=NONE dis=NONE) header.from={domain}\r\n"
    ).encode()
