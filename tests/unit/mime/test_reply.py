"""What a person wrote, told apart from what was quoted."""

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.mime import ReplyText, read

OURS = "APPROVE"


def reply(plain: str | None = None, html: str | None = None) -> ReplyText:
    message = EmailMessage()
    message["From"] = "ada@example.com"
    if plain is not None:
        message.set_content(plain)
    if html is not None and plain is not None:
        message.add_alternative(html, subtype="html")
    elif html is not None:
        message.set_content(html, subtype="html")
    found = read(message.as_bytes()).reply
    assert found is not None
    return found


QUOTED = f"Dear customer,\n\nreply {OURS} to approve.\n\n-- \nBank"
MARKED = "".join(f"> {line}\n" for line in QUOTED.split("\n"))
HEADER = "From: Bank <s@bank.example>\nSent: Tuesday\nTo: Ada\nSubject: Review\n\n" + QUOTED
PLAIN = {
    "marked lines": MARKED,
    "an English attribution": f"On Tue, 3 Nov 2026 at 17:15, Bank <s@bank.example> wrote:\n\n{MARKED}",
    "an attribution without marks": f"On Tue, 3 Nov 2026 at 17:15, Bank <s@bank.example> wrote:\n\n{QUOTED}",
    "an attribution in three lines": f"Il giorno 3 nov 2026 alle 17:15\nBank\n<s@bank.example> ha scritto:\n\n{QUOTED}",
    "an original message": f"-----Original Message-----\n{HEADER}",
    "an original message in Polish": f"-----Oryginalna wiadomość-----\n{QUOTED}",
    "a header block": HEADER,
    "a header block in bold": HEADER.replace("From:", "*From:*").replace("Sent:", "*Sent:*").replace("To:", "*To:*"),
    "a header block in French": HEADER.replace("From", "De")
    .replace("Sent", "Envoyé")
    .replace("To", "À")
    .replace("Subject", "Objet"),
    "a rule and a header block": f"{'_' * 32}\n{HEADER}",
    "a rule and a header block in Hungarian": f"{'_' * 40}\n\nFeladó: Bank <s@bank.example>\nElküldve: kedd\n"
    f"Címzett: Ada\nTárgy: Kivonat\n\n{QUOTED}",
    "a rule and a header block in Greek, bold": f"{'_' * 20}\n*Από:* Bank\n*Στάλθηκε:* Τρίτη 3/11/2026 17:15\n"
    f"*Προς:* Ada\n\n{QUOTED}",
    "a rule and a header block in Hebrew": f"\u200f{'_' * 32}\nמאת: Bank\nנשלח: 17:15 3.11.2026\nאל: Ada\n\n{QUOTED}",
    "a forwarded message": f"---------- Forwarded message ---------\n{HEADER}",
}
HTML = {
    "Gmail": '<div class="gmail_quote"><div class="gmail_attr">On 3 Nov 2026 wrote:</div>'
    f'<blockquote class="gmail_quote">{OURS}</blockquote></div>',
    "Gmail's forward": f'<div class="gmail_quote"><div class="gmail_attr">Forwarded</div>{OURS}</div>',
    "Outlook on the desk": '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0 0 0">From: B</div>'
    f"<p>{OURS}</p>",
    "Outlook on the web": f'<div id="appendonsend"></div><hr><div id="divRplyFwdMsg">From: B</div><div>{OURS}</div>',
    "Outlook on the phone": f'<div id="mail-editor-reference-message-container"><div>{OURS}</div></div>',
    "Apple Mail": f'<blockquote type="cite"><div>On 3 Nov 2026, B wrote:</div>{OURS}</blockquote>',
    "Thunderbird": f'<div class="moz-cite-prefix">B wrote:</div><blockquote type="cite">{OURS}</blockquote>',
    "Thunderbird's forward": f'<div class="moz-forward-container">{OURS}</div>',
    "Yahoo": f'<div id="yahoo_quoted_1" class="yahoo_quoted">{OURS}</div>',
    "GMX": f'<div name="quote">{OURS}</div>',
    "Zimbra": f'<hr id="zwchr"><div>{OURS}</div>',
}
WORDS = st.text(st.sampled_from("abc de\nfgöñł.,!?"), max_size=60).map(lambda text: " ".join(text.split(" ")).strip())


@pytest.mark.parametrize("shape", PLAIN)
@given(words=WORDS)
def test_quoted_text_is_never_part_of_a_plain_answer(shape, words):
    found = reply(f"{words}\n\n{PLAIN[shape]}")
    assert OURS not in found.text
    assert OURS in found.full_text
    assert found.text.split() == words.split()


@pytest.mark.parametrize("shape", HTML)
@given(words=WORDS)
def test_quoted_text_is_never_part_of_an_html_answer(shape, words):
    found = reply(html=f"<html><body><div>{words}</div>{HTML[shape]}</body></html>")
    assert OURS not in found.text
    assert OURS in found.full_text
    assert found.text.split() == words.split()


NAMED = 'Content-Disposition: attachment; filename="a"'


@pytest.mark.parametrize(
    ("kind", "text"), [("text/plain", "<b>Yes.</b>"), ("text/html", "Yes."), ("text/x-note", "<b>Yes.</b>")]
)
def test_a_message_that_is_one_text_is_read_though_it_has_a_file_name(kind, text):
    found = read(f"From: ada@example.com\nContent-Type: {kind}\n{NAMED}\n\n<b>Yes.</b>\n".encode())
    assert found.reply is not None
    assert found.reply.text == text
    assert [one.name for one in found.attachments] == ["a"]


def test_a_file_is_not_read_where_it_is_a_part_or_for_programs():
    inner = f"Content-Type: text/plain\n{NAMED}\n\nYes.\n"
    part = f'From: ada@example.com\nContent-Type: multipart/mixed; boundary="b"\n\n--b\n{inner}--b--\n'
    card = f"From: ada@example.com\nContent-Type: text/vcard\n{NAMED}\n\nBEGIN:VCARD\n"
    assert [read(one.encode()).reply for one in (part, card)] == [ReplyText("", "")] * 2


@pytest.mark.parametrize("shape", HTML)
def test_html_marks_help_where_the_plain_text_has_none(shape):
    found = reply(f"Please wait.\n\n{OURS}\n", f"<div>Please wait.</div>{HTML[shape]}")
    assert found.text == "Please wait."


def test_a_line_of_the_writers_right_above_an_attribution_is_kept():
    text = f"My number is 030 5550100\nOn Tue, 3 Nov 2026 at 17:15, Bank <s@bank.example> wrote:\n{MARKED}"
    assert reply(text).text == "My number is 030 5550100"


@pytest.mark.parametrize(
    "below",
    [
        "Ada Moor\nTel: 030 5550100\nMobil: 0170 5550100\nE-mail: ada@example.com",
        "Tel: 030 5550100\nMobil: 0170 5550100\nE-mail: ada@example.com",
        "Please note: it is urgent.\nI call at 17:15.\nAda: yes.",
        "Name: Ada\nName: at 17:15\nName: Bo",
        "Name: Ada\nTime: 17:15\nthe rest",
    ],
)
def test_a_line_that_the_writer_drew_opens_no_quotation(below):
    assert reply(f"My answer is no.\n{'_' * 32}\n{below}\n\nThat is all.\n").text.endswith("That is all.")


def test_a_short_line_of_underscores_opens_no_quotation():
    assert reply(f"No.\n{'_' * 19}\nOd: s@bank.example\nKomu: Ada\nKdy: 17:15\n").text.endswith("Kdy: 17:15")


def test_answers_between_and_below_quoted_lines_are_kept_in_order():
    text = f"> one?\n\nFirst.\n\n> two?\n> {OURS}\n\nSecond.\n"
    assert reply(text).text == "First.\n\nSecond."


def test_a_message_without_words_has_an_empty_text_and_never_fails():
    for found in (reply(""), reply(html="<html></html>"), reply("\n \n"), reply(html="   ")):
        assert found.text == ""


@given(st.text(max_size=400))
def test_the_answer_is_made_of_the_writers_own_words(text):
    found = reply(text.encode("utf-8", "ignore").decode())
    words = found.full_text.split()
    assert len(found.text.split()) <= len(words)
