"""What others wrote steers no terminal."""

from millstream.cli import frame


def test_words_of_others_steer_no_terminal(capsys) -> None:
    frame.answer_rows([{"words": "no\x1b]0;taken\x07 \x9b31m\u202eok\x7f"}], ["words"], as_json=False, empty="")
    frame.answer_fields({"detail": "one\ntwo\x1b[2J"})
    shown = capsys.readouterr().out
    assert "no]0;taken 31mok" in shown
    assert "one\ntwo[2J" in shown
