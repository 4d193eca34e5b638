"""What becomes of output files: the body, an attachment, or nothing."""

import pytest

from millstream.intake.customer import OutputFile
from millstream.intake.errors import RecordProblem
from millstream.intake.keys import Facts, Named
from millstream.intake.outputs import OutputRules, Rule, Seen, arrange, media_of, sniff

NOTHING = Facts({})


def seen(path: str, media: str, queue: str = "Q", **changes) -> Seen:
    return Seen(OutputFile(path, queue, **changes), media)


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\xef\xbb\xbf  <!DOCTYPE HTML><html>", "text/html"),
        (b"\n<html lang=en>", "text/html"),
        (b"<!-- made by --><html>", "text/html"),
        (b"<?xml version='1.0'?><html xmlns='x'>", "text/html"),
        (b"<?xml version='1.0'?><data/>", "application/xml"),
        ("\ufeff<html>".encode("utf-16-le"), "text/html"),
        (b"PK\x03\x04rest", "application/zip"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"Dear customer", "text/plain"),
        (b"\x00\x01\x02", "application/octet-stream"),
        (b"", "text/plain"),
    ],
)
def test_a_file_without_an_extension_is_known_by_its_first_bytes(content, media):
    assert sniff(content) == media


def test_what_the_data_say_goes_before_the_bytes_and_the_bytes_before_the_name():
    assert media_of(OutputFile("a.pdf", media_type="Text/CSV "), b"%PDF-1") == "text/csv"
    assert media_of(OutputFile("a.html"), b"%PDF-1") == "application/pdf"
    assert media_of(OutputFile("a.csv"), b"a;b") == "text/csv"


def test_html_is_the_body_and_pdfs_are_attached():
    found = arrange([seen("h/1", "text/html"), seen("p/1", "application/pdf")], OutputRules(), (), NOTHING)
    assert found.html == "h/1"
    assert found.documents == [{"name": "1.pdf", "media_type": "application/pdf", "path": "p/1"}]


def test_an_attachment_is_named_by_its_data_then_its_queue_then_a_rule():
    files = [
        seen("1", "application/pdf", "A", name="mine.pdf"),
        seen("2", "application/pdf", "print"),
        seen("3", "application/pdf", "C"),
    ]
    rules = OutputRules((Rule("attach", name="${Month}/a"),))
    found = arrange(files, rules, (Named("letter.pdf", queue="Print"),), Facts({"Month": "October"}))
    assert [each["name"] for each in found.documents] == ["mine.pdf", "letter.pdf", "October-a.pdf"]


def test_two_attachments_of_one_name_are_told_apart():
    files = [seen("a/x.pdf", "application/pdf"), seen("b/x.pdf", "application/pdf")]
    found = arrange(files, OutputRules(), (), NOTHING)
    assert [each["name"] for each in found.documents] == ["x.pdf", "x (2).pdf"]


def test_the_first_rule_that_fits_counts():
    rules = OutputRules((Rule("ignore", queue="Archive*"), Rule("attach", media="text/html"), Rule("ignore")))
    files = [
        seen("1", "application/pdf", "ArchivePDF"),
        seen("2", "text/html", "H"),
        seen("3", "application/pdf", "Other"),
    ]
    found = arrange(files, rules, (), NOTHING)
    assert (found.html, [each["path"] for each in found.documents]) == (None, ["2"])


def test_other_files_are_ignored_unless_it_is_said():
    files = [seen("1", "application/zip")]
    assert arrange(files, OutputRules(), (), NOTHING).documents == []
    found = arrange(files, OutputRules(others="attach"), (), NOTHING)
    assert found.documents == [{"name": "1.zip", "media_type": "application/zip", "path": "1"}]


def test_two_bodies_are_a_problem_that_names_both():
    with pytest.raises(RecordProblem, match="'1' and '2' would both be the mail's body"):
        arrange([seen("1", "text/html"), seen("2", "text/html")], OutputRules(), (), NOTHING)


def test_an_empty_file_is_nothing():
    files = [Seen(OutputFile("1"), "text/plain", empty=True), seen("2", "text/html")]
    assert arrange(files, OutputRules((Rule("body"),)), (), NOTHING).html == "2"


def test_a_text_may_be_the_body_by_rule():
    found = arrange([seen("t", "text/plain")], OutputRules((Rule("body", media="text/plain"),)), (), NOTHING)
    assert (found.text, found.html) == ("t", None)
