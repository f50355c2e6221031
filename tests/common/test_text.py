"""Text from outside neither moves the cursor nor breaks a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text import one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;Y2xpcA==", ""),
        ("\x9b2Jgone", "gone"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x1bcreset", "reset"),
        ("ends in \x1b", "ends in "),
        ("a\x08\x08b\x7f", "ab"),
        ("safe\u202egnp.exe", "safegnp.exe"),
        ("[/INST] stays", "[/INST] stays"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("日本語 é 🙂", "日本語 é 🙂"),
        ("half \ud83d", "half "),
    ],
)
def test_sequences_and_controls_go_and_the_words_stay(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert all(
        character.isprintable() or character.isspace()
        for character in printable(text)
        if character < "\u0100"
    )
    assert "\x1b" not in printable(text)
    assert printable(printable(text)) == printable(text)


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert "  " not in one_line(text)
