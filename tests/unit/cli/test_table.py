"""Tables: aligned, whole in a pipe, folded on a terminal."""

import os
import sys

from millstream.cli import table


def test_columns_line_up_and_numbers_stand_right() -> None:
    lines = list(table.drawn(["key", "sent"], [["a", "7"], ["long", "1,000"]], [False, True]))
    assert lines == ["key    sent", "a         7", "long  1,000"]


def test_in_a_pipe_a_row_is_one_line_however_long() -> None:
    lines = list(table.drawn(["key", "detail"], [["a", "word " * 100]], [False, False]))
    assert len(lines) == 2
    assert lines[1].count("word") == 100


def test_wide_characters_take_two_columns_and_accents_none() -> None:
    lines = list(table.drawn(["name", "n"], [["山田", "1"], ["e\u0301a", "2"]], [False, False]))
    assert lines == ["name  n", "山田  1", "e\u0301a    2"]


def test_a_line_break_in_a_cell_does_not_break_the_row() -> None:
    assert list(table.drawn(["a"], [["x\ny"]], [False])) == ["a", "x y"]


def test_on_a_terminal_the_widest_column_is_folded(monkeypatch) -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("COLUMNS", "30")
        lines = list(table.drawn(["key", "detail"], [["a", "word " * 12]], [False, False]))
    os.close(master)
    assert max(len(line) for line in lines[1:]) <= 30
    assert " ".join(lines[1:]).split().count("word") == 12
