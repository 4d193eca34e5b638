"""How fast incoming messages are read whole: kind, sender, verdict, clues, reply text, list of attachments.

One process, one core, messages of two sizes in memory: replies with a PDF, two of six in HTML alone, bounces that
return the original, automatic answers and newsletters. Fetching them and writing them down is measured elsewhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.message import EmailMessage
from random import Random

import pybase64

from millstream.mime import MailKind, read
from process import BenchFailed
from stage import emit, say

_TRACE = (
    "Delivered-To: statements+{token}@bank.example\r\n"
    "Received: by 2001:db8:a05:6a20::1 with SMTP id c7csp1182934;\r\n        Tue, 3 Nov 2026 09:15:02 -0800 (PST)\r\n"
    "ARC-Seal: i=1; a=rsa-sha256; t=1762190102; cv=none;\r\n        d=google.com; s=arc-20240605;\r\n"
    "        b={noise}\r\n"
    "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=google.com; s=arc-20240605;\r\n"
    "        h=subject:message-id:date:from:mime-version:dkim-signature;\r\n        bh={noise}\r\n"
    "Return-Path: <{path}>\r\n"
    "Received: from mail-out.example.com (mail-out.example.com. [192.0.2.41])\r\n"
    "        by mx.google.com with ESMTPS id d75a77b69052e-si1\r\n        for <statements+{token}@bank.example>;\r\n"
    "        Tue, 3 Nov 2026 09:15:02 -0800 (PST)\r\n"
    "Authentication-Results: mx.google.com;\r\n"
    "       dkim=pass header.i=@example.com header.s=s1 header.b=AbCdEfGh;\r\n"
    "       spf=pass (google.com: domain of ada@example.com designates 192.0.2.41 as permitted sender)"
    " smtp.mailfrom=ada@example.com;\r\n"
    "       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1;\r\n        b={noise}\r\n"
)
_QUOTE = "Dear customer,\n\nyour statement for October is attached. Please keep it with your records.\n" * 8
_WORDS = "The amount on page two is not what we agreed. Please correct it and send the statement again.\n"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    sizes: tuple[int, ...] = (50_000, 5_000_000)
    """Bytes of a message, about."""

    seconds: float = 3.0
    """Of processor time for each size."""


async def measure(plan: Plan) -> None:
    """One line for each size."""
    for size in plan.sizes:
        _measure(size, plan.seconds)


def _measure(size: int, seconds: float) -> None:
    messages = _messages(size, 40 if size < 1_000_000 else 10)  # noqa: PLR2004  50 MB of them at most
    wanted = [kind for kind, _ in messages]
    if [read(message).kind for _, message in messages] != wanted:
        raise BenchFailed("the bench's own messages are not read as what they are")
    say(f"mailbox.classify: {len(messages)} messages of {size:,} bytes")
    done, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds:
        for _, message in messages:
            read(message)
        done += len(messages)
    real = round(sum(len(message) for _, message in messages) / len(messages))
    emit({"name": "mailbox.classify", "size": real, "per_second": round(done / spent), "messages": done})


def _messages(size: int, count: int) -> list[tuple[MailKind, bytes]]:
    """As a mailbox of statements gets them: of ten, six replies, two bounces, an automatic answer, a newsletter."""
    random = Random(size)  # noqa: S311  content, no secret
    made = []
    for number in range(count):
        match number % 10:
            case 0 | 1:
                made.append((MailKind.BOUNCE, _bounce(random, size)))
            case 2:
                made.append((MailKind.AUTO_REPLY, _answer(random, size, automatic=True)))
            case 4 | 5:
                made.append((MailKind.REPLY, _outlook(random, size)))
            case 3:
                made.append((MailKind.BULK, _newsletter(random, size)))
            case _:
                made.append((MailKind.REPLY, _answer(random, size, automatic=False)))
    return made


def _trace(random: Random, path: str = "ada@example.com") -> bytes:
    noise = "".join(random.choices("ABCDEFabcdef0123456789+/", k=340))
    return _TRACE.format(token=f"{random.randrange(16**8):08X}", noise=noise, path=path).encode()


def _answer(random: Random, size: int, *, automatic: bool) -> bytes:
    message = EmailMessage()
    message["From"] = "Ada Moor <ada@example.com>"
    message["To"] = "Bank of Example <statements@bank.example>"
    message["Subject"] = "Re: Your statement for October"
    message["Date"] = "Tue, 03 Nov 2026 18:15:00 +0100"
    message["In-Reply-To"] = "<CAxyz01@mail.gmail.com>"
    if automatic:
        message["Auto-Submitted"] = "auto-replied"
    quoted = "".join(f"> {line}\n" for line in _QUOTE.splitlines())
    attribution = "On Tue, Nov 3, 2026 at 5:15 PM Bank of Example <statements@bank.example> wrote:"
    message.set_content(f"{_WORDS}\n-- \nAda Moor\n\n{attribution}\n\n{quoted}")
    message.add_alternative(
        f'<div dir="ltr">{_WORDS}</div><div class="gmail_quote"><blockquote>{_QUOTE}</blockquote></div>', subtype="html"
    )
    message.add_attachment(
        random.randbytes(max(0, size - 9_000) * 73 // 100), maintype="application", subtype="pdf", filename="scan.pdf"
    )
    return _trace(random) + message.as_bytes().replace(b"\n", b"\r\n")


def _outlook(random: Random, size: int) -> bytes:
    message = EmailMessage()
    message["From"] = "Ada Moor <ada@example.com>"
    message["To"] = "Bank of Example <statements@bank.example>"
    message["Subject"] = "RE: Your statement for October"
    message["Date"] = "Tue, 03 Nov 2026 18:15:00 +0100"
    row = '<tr><td style="padding:0"><p class="MsoNormal">Your statement<o:p></o:p></p></td></tr>'
    message.set_content(
        f'<html><body><div class="WordSection1"><p class="MsoNormal">{_WORDS}</p>'
        '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in"><b>From:</b> Bank</div>'
        f"<table>{row * 120}</table></div></body></html>",
        subtype="html",
    )
    message.add_attachment(
        random.randbytes(max(0, size - 16_000) * 73 // 100), maintype="application", subtype="pdf", filename="scan.pdf"
    )
    return _trace(random) + message.as_bytes().replace(b"\n", b"\r\n")


def _newsletter(random: Random, size: int) -> bytes:
    head = (
        "From: News <news@example.com>\r\nTo: statements@bank.example\r\nSubject: News\r\nMIME-Version: 1.0\r\n"
        "List-Unsubscribe: <https://example.com/u>\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    )
    row = "<table><tr><td style='padding:0'><p>Nothing new today.</p></td></tr></table>\r\n"
    return _trace(random) + head.encode() + row.encode() * (size // len(row))


def _bounce(random: Random, size: int) -> bytes:
    original = pybase64.encodebytes(random.randbytes(max(0, size - 6_000) * 73 // 100)).replace(b"\n", b"\r\n")
    return (
        b"Delivered-To: statements@bank.example\r\nReceived: by 2001:db8::1 with SMTP id c7csp118; Tue\r\n"
        b"Return-Path: <>\r\nFrom: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\r\n"
        b"To: statements@bank.example\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nSubject: Failure\r\n"
        b"X-Failed-Recipients: ada@example.com\r\n"
        b'Content-Type: multipart/report; boundary="0000002f1c"; report-type=delivery-status\r\n\r\n'
        b"--0000002f1c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nAddress not found\r\n\r\n"
        b"--0000002f1c\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; googlemail.com\r\n"
        b"X-Original-Message-ID: <CAxyz01@mail.gmail.com>\r\n\r\nFinal-Recipient: rfc822; ada@example.com\r\n"
        b"Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.com\r\n"
        b"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n"
        b"--0000002f1c\r\nContent-Type: message/rfc822\r\n\r\nX-Millstream-Delivery: 01JB2S5Z\r\n"
        b"Subject: Your statement\r\nContent-Type: multipart/mixed; boundary=inner\r\n\r\n--inner\r\n"
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + original
        + b"\r\n--inner--\r\n\r\n"
        b"--0000002f1c--\r\n"
    )
