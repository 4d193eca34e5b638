"""Pictures in the text, the AMP alternative, and conversations, as a mail program reads them."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

import pytest

from millstream.mime.build import build, encoded_size
from millstream.mime.errors import BadHeader
from millstream.mime.letter import Attachment, Inline, Letter, Mailbox

PICTURE = Inline("page@millstream", "Größe 1.png", "image/png", bytes(range(256)) * 40)
LETTER = Letter(
    sender=Mailbox("Bank", "review@bank.example"),
    recipient=Mailbox("Anna", "anna@bank.example"),
    subject="Review 7",
    date=datetime(2026, 11, 26, tzinfo=UTC),
    delivery_token="0123456789",
    text="Hello",
    html='<img src="cid:page@millstream">',
    inline=(PICTURE,),
)


def _read(letter: Letter) -> EmailMessage:
    raw = build(letter)
    assert len(raw) == encoded_size(letter)
    return cast("EmailMessage", message_from_bytes(raw, policy=policy.default))


def _kinds(message: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in message.walk()]


def test_a_picture_stands_with_the_html_that_shows_it() -> None:
    read = _read(replace(LETTER, attachments=(Attachment("a.pdf", "application/pdf", b"%PDF"),)))
    assert _kinds(read) == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    picture = next(part for part in read.walk() if part.get_content_type() == "image/png")
    assert picture["Content-ID"] == "<page@millstream>"
    assert picture.get_content_disposition() == "inline"
    assert picture.get_filename() == "Größe 1.png"
    assert picture.get_content() == PICTURE.content
    assert [part.get_filename() for part in read.iter_attachments()] == ["a.pdf"]


def test_amp_stands_between_text_and_html() -> None:
    read = _read(replace(LETTER, amp="<!doctype html><html ⚡4email></html>"))
    assert _kinds(read) == [
        "multipart/alternative",
        "text/plain",
        "text/x-amp-html",
        "multipart/related",
        "text/html",
        "image/png",
    ]
    assert (
        "⚡4email" in next(part for part in read.walk() if part.get_content_type() == "text/x-amp-html").get_content()
    )


def test_a_letter_of_html_and_a_picture_alone_is_related() -> None:
    assert _kinds(_read(replace(LETTER, text=""))) == ["multipart/related", "text/html", "image/png"]


@pytest.mark.parametrize("more", [{"inline": (PICTURE,)}, {"inline": (), "amp": "<html>"}])
def test_pictures_and_amp_need_html_beside_them(more: dict[str, object]) -> None:
    with pytest.raises(BadHeader, match="HTML body"):
        build(replace(LETTER, html=None, **more))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    "cid", ["page", "<page@x>", "a b@x", "page@x\r\nBcc: e@x.example", "@x", "ä@x", "p" * 65 + "@x"]
)
def test_a_bad_name_of_a_picture_is_refused(cid: str) -> None:
    with pytest.raises(BadHeader if "\r" not in cid else Exception, match="Content-ID"):
        build(replace(LETTER, inline=(replace(PICTURE, cid=cid),)))


def test_a_long_conversation_fits_into_its_headers() -> None:
    ids = [f"<CAF{number:03}{'x' * 60}@mail.gmail.com>" for number in range(20)]
    raw = build(replace(LETTER, headers=(("In-Reply-To", ids[-1]), ("References", " ".join(ids)))))
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    read = message_from_bytes(raw, policy=policy.default)
    assert str(read["References"]).split() == ids
    assert read["In-Reply-To"] == ids[-1]
