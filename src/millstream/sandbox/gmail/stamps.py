"""The header lines Gmail puts above what it receives."""

from typing import Final

from millstream.sandbox.gmail.verdicts import Authentication
from millstream.sandbox.gmail.world import World

RELAY_ADDRESS: Final = "192.0.2.41"
"""The sending host's address in stamps: a documentation address (RFC 5737), for no real one was involved."""

AUTHSERV_ID: Final = "mx.google.com"
_BREAK: Final = ";\r\n       "
_SPF_WORDS: Final = {"pass": "designates", "fail": "does not designate", "softfail": "does not designate"}


def delivery_stamp(
    world: World, *, envelope_sender: str, recipient: str, header_from: str, verdict: Authentication
) -> bytes:
    """The lines of one delivery, topmost first, ending in CRLF.

    Order as in Gmail's own messages: Delivered-To, Received by, Return-Path, Received from, Received-SPF,
    Authentication-Results. Whatever a message already says of these stays below: its sender wrote it.
    """
    now = world.clock.seconds()
    date = world.clock.stamp()
    token = f"{int(now * 1000):x}"
    domain = header_from.rpartition("@")[2] or envelope_sender.rpartition("@")[2]
    spf = _spf(verdict, envelope_sender)
    results = ""
    if verdict.shown:
        found = _BREAK.join((AUTHSERV_ID, *_results(verdict, domain, spf, envelope_sender)))
        results = f"Authentication-Results: {found}\r\n"
    return (
        f"Delivered-To: {recipient}\r\n"
        f"Received: by 2001:db8:a05:6a20::1 with SMTP id s{token};\r\n        {date}\r\n"
        f"Return-Path: <{envelope_sender}>\r\n"
        f"Received: from mail-sandbox.google.com (mail-sandbox.google.com. [{RELAY_ADDRESS}])\r\n"
        f"        by {AUTHSERV_ID} with SMTPS id m{token}\r\n"
        f"        for <{recipient}>;\r\n        {date}\r\n"
        f"Received-SPF: {spf} client-ip={RELAY_ADDRESS};\r\n"
        f"{results}"
    ).encode()


def _spf(verdict: Authentication, envelope_sender: str) -> str:
    if not envelope_sender:
        # An empty envelope sender is checked by the name the server greets with (RFC 7208 2.4).
        return f"{verdict.spf} (google.com: {RELAY_ADDRESS} is judged by its greeting)"
    if verdict.spf not in _SPF_WORDS:
        return (
            f"{verdict.spf} (google.com: {RELAY_ADDRESS} is neither permitted nor denied by best guess record for "
            f"domain of {envelope_sender})"
        )
    words = _SPF_WORDS[verdict.spf]
    return f"{verdict.spf} (google.com: domain of {envelope_sender} {words} {RELAY_ADDRESS} as permitted sender)"


def _results(verdict: Authentication, domain: str, spf: str, envelope_sender: str) -> list[str]:
    found = []
    if verdict.dkim != "none":
        found.append(f"dkim={verdict.dkim} header.i=@{verdict.signer or domain} header.s=google header.b=AbCdEfGh")
    found.append(f"spf={spf} " + (f"smtp.mailfrom={envelope_sender}" if envelope_sender else "smtp.helo=mx.example"))
    if verdict.dmarc != "none":
        found.append(f"dmarc={verdict.dmarc} (p=NONE sp=NONE dis=NONE) header.from={domain}")
    return found


def google_stamp(world: World, *, recipient: str, header_from: str) -> str:
    """The lines above what Google itself mails, such as a bounce: proof that it is Google's (reference 5.3, 6).

    Its envelope sender is empty, so SPF speaks of the greeting; DKIM and DMARC carry the proof.
    """
    date, token = world.clock.stamp(), world.new_id()
    host = "mail-sor-f69.google.com"
    results = _BREAK.join(
        (
            AUTHSERV_ID,
            f"dkim=pass header.i=@{header_from} header.s=20230601 header.b=Ab12Cd34",
            (
                f"spf=pass (google.com: best guess record for domain of postmaster@{host} designates {RELAY_ADDRESS} "
                f"as permitted sender) smtp.helo={host}"
            ),
            f"dmarc=pass (p=QUARANTINE sp=QUARANTINE dis=NONE) header.from={header_from}",
        )
    )
    return (
        f"Delivered-To: {recipient}\r\n"
        f"Received: by 2001:db8:a05:6a20::1 with SMTP id s{token};\r\n        {date}\r\n"
        f"X-Received: by 2001:db8:a05:6a20::2 with SMTP id x{token};\r\n        {date}\r\n"
        f"ARC-Seal: i=1; a=rsa-sha256; t={int(world.clock.seconds())}; cv=none;\r\n"
        "        d=google.com; s=arc-20240605;\r\n        b=c2FuZGJveA==\r\n"
        "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=google.com; s=arc-20240605;\r\n"
        "        h=date:message-id:in-reply-to:references:subject:from:auto-submitted:to;\r\n"
        "        bh=c2FuZGJveA==;\r\n        b=c2FuZGJveA==;\r\n        dara=google.com\r\n"
        f"ARC-Authentication-Results: i=1; {results}\r\n"
        "Return-Path: <>\r\n"
        f"Received: from {host} ({host}. [{RELAY_ADDRESS}])\r\n"
        f"        by {AUTHSERV_ID} with SMTPS id m{token}\r\n"
        f"        for <{recipient}>\r\n        (Google Transport Security);\r\n        {date}\r\n"
        f"Authentication-Results: {results}\r\n"
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={header_from}; s=20230601;\r\n"
        "        h=date:message-id:in-reply-to:references:subject:from:auto-submitted:to;\r\n"
        "        bh=c2FuZGJveA==;\r\n        b=c2FuZGJveA==\r\n"
    )
