"""A template is a folder; what is wrong with it is said before anything is composed from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millstream.composer import ComposeError, Composer, ComposerOptions, DataError, MailTooLarge, TemplateError
from millstream.composer.composer import TEMPLATES

Own = Callable[..., Composer]


def test_a_template_of_ones_own_stands_beside_the_shipped_ones(own: Own, greeting: dict[str, Any]) -> None:
    composer = own()
    assert composer.templates() == ("greeting", "letter", "review_record", "statement")
    assert composer.compose_document("greeting", greeting, "en-GB").startswith(b"%PDF-")
    assert composer.render_mail("greeting", greeting, "en-GB").text == "Hello Ada\n"
    assert composer.version("statement") == Composer().version("statement")


def test_a_template_of_ones_own_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    folder = tmp_path / "statement"
    folder.mkdir()
    for file in (TEMPLATES / "statement").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "texts.en.toml").write_text((folder / "texts.en.toml").read_text().replace("Dear", "Hello"))
    changed = Composer(ComposerOptions(templates=(tmp_path,)))
    assert changed.version("statement") != Composer().version("statement")


def test_the_version_changes_with_every_file_and_only_then(own: Own) -> None:
    first = own().version("greeting")
    assert own().version("greeting") == first
    assert first.startswith("3+")
    assert own(mail__txt="Changed\n").version("greeting") != first
    assert own(fold__typ="").version("greeting") != first


def test_an_unknown_template_names_those_there_are(own: Own, greeting: dict[str, Any]) -> None:
    for name in ("leaflet", "../greeting", "", "/etc"):
        with pytest.raises(TemplateError, match="there are: greeting, letter, review_record, statement"):
            own().render_mail(name, greeting, "en-GB")


BROKEN: dict[str, tuple[dict[str, str | None], str]] = {
    "setting missing": ({"template__toml": 'version = "1"\n'}, "template.toml lacks currency, customer"),
    "setting unreadable": ({"template__toml": "version = \n"}, "template.toml cannot be read"),
    "text unreadable": ({"texts.en__toml": 'hello = "\n'}, "texts.en.toml cannot be read"),
    "no texts of its own locale": ({"texts.en__toml": None, "texts.de__toml": 'hello = ""\n'}, "own locale en-GB"),
    "text not drawable": ({"texts.en__toml": 'hello = "你 {name}"\n'}, "texts.en.toml: hello: no font draws “你”"),
    "package from the network": ({"document__typ": '#import "@preview/cetz:0.3.0": *\n'}, "nothing is fetched"),
    "no mail": ({"mail__mjml": None}, "mail.mjml cannot be read"),
    "mail is no MJML": ({"mail__mjml": "<mjml><mj-body>"}, "mail.mjml is no MJML"),
    "mail is no Jinja": ({"mail__txt": "\n{% if %}\n"}, "mail.txt, line 2"),
    "schema is no schema": ({"schema__json": '{"type": "text"}'}, "schema.json is no JSON Schema"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_template_says_which_file_and_what(own: Own, greeting: dict[str, Any], case: str) -> None:
    changed, words = BROKEN[case]
    with pytest.raises(TemplateError) as caught:
        own(**changed).render_mail("greeting", greeting, "en-GB")
    assert words in str(caught.value)
    assert "greeting" in str(caught.value)


def test_what_typst_says_is_translated_with_its_place(own: Own, greeting: dict[str, Any]) -> None:
    composer = own(document__typ='#set document(title: "x")\n\n#(1 + "a")\n')
    with pytest.raises(
        ComposeError, match=r"customer C-1: template greeting: Typst says at document\.typ:3: cannot add"
    ):
        composer.compose_document("greeting", greeting, "en-GB")


def test_a_document_reads_nothing_outside_its_folder(own: Own, greeting: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    with pytest.raises(ComposeError):
        own(document__typ='#read("../secret.txt")').compose_document("greeting", greeting, "en-GB")


def test_an_expression_in_a_mail_reaches_nothing_but_its_words(own: Own, greeting: dict[str, Any]) -> None:
    composer = own(mail__txt="{{ data.__class__.__mro__ }}\n")
    with pytest.raises(ComposeError, match="the mail says"):
        composer.render_mail("greeting", greeting, "en-GB")


def test_a_word_the_data_lack_stops_the_mail(own: Own, greeting: dict[str, Any]) -> None:
    with pytest.raises(ComposeError, match="surname"):
        own(mail__txt="{{ data.surname }}\n").render_mail("greeting", greeting, "en-GB")


def test_html_that_gmail_would_cut_off_is_refused(own: Own, greeting: dict[str, Any]) -> None:
    composer = own()
    small = len(composer.render_mail("greeting", greeting | {"name": "x"}, "en-GB").html.encode())
    fits = "é" * ((99_999 - small + 1) // 2)
    assert len(composer.render_mail("greeting", greeting | {"name": fits}, "en-GB").html.encode()) < 100_000
    with pytest.raises(MailTooLarge, match="the limit is 100,000"):
        composer.render_mail("greeting", greeting | {"name": fits + "éé"}, "en-GB")


def test_values_are_escaped_in_html_and_stay_as_they_are_in_text(own: Own, greeting: dict[str, Any]) -> None:
    mail = own().render_mail("greeting", greeting | {"name": "<b>O'Neill & Söhne</b> {{ 7 * 7 }}"}, "en-GB")
    assert "&lt;b&gt;O&#39;Neill &amp; Söhne&lt;/b&gt; {{ 7 * 7 }}" in mail.html
    assert mail.text == "Hello <b>O'Neill & Söhne</b> {{ 7 * 7 }}\n"
    assert mail.subject == "Hello <b>O'Neill & Söhne</b> {{ 7 * 7 }}"


def test_a_subject_is_one_line_and_a_file_name_has_no_folders(own: Own, greeting: dict[str, Any]) -> None:
    hostile = greeting | {"name": "../../etc\r\nBcc: x"}
    assert own().render_mail("greeting", hostile, "en-GB").subject == "Hello ../../etc Bcc: x"
    assert own().document_name("greeting", hostile, "en-GB") == "..-..-etc Bcc- x.pdf"


def test_a_language_without_texts_gets_the_default_as_a_whole(composer: Composer, statement: dict[str, Any]) -> None:
    assert composer.render_mail("statement", statement, "pl-PL") == composer.render_mail(
        "statement", statement, "en-GB"
    )
    austrian = composer.render_mail("statement", statement, "de-AT")
    assert austrian.subject == "Ihr Kontoauszug vom 30. Juni 1998"


def test_a_field_that_the_template_rejects_is_an_error_of_the_data(own: Own, greeting: dict[str, Any]) -> None:
    document = '#import "@local/millstream:1.0.0": *\n#reject("lines[2].when", "is too late, by far")\n'
    with pytest.raises(DataError) as caught:
        own(document__typ=document).compose_document("greeting", greeting, "en-GB")
    assert (caught.value.field, caught.value.problem) == ("lines[2].when", "is too late, by far")
