"""Make text from a server, a container or a file safe to show."""

import re
import unicodedata

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences: colors, cursor, erasing
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system commands: titles, links, the clipboard
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # device control and other strings
    r"|\x1b[ -/]*[0-~]?"  # two-character sequences, and an escape alone
    r"|\x9b[0-?]*[ -/]*[@-~]"  # the same introducer as one character of C1
)
_LINE_BREAKS = frozenset("\n\r\t\v\f\x85\u2028\u2029")


def printable(text: str) -> str:
    """``text`` without terminal escape sequences, control characters and marks that change the order of text.

    Line breaks and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        for character in _ESCAPES.sub("", text)
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )


def one_line(text: str) -> str:
    """`printable`, with every run of white space as one space."""
    broken = "".join(" " if character in _LINE_BREAKS else character for character in text)
    return " ".join(printable(broken).split())
