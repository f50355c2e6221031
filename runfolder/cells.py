"""Text cells of CSV files that a spreadsheet must not take for a formula.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@``. Texts of a model server or a payload
file may begin so. Such a cell is written with an apostrophe before it, as spreadsheets do themselves.
Source: OWASP, CSV injection.
"""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guard_cell(text: str) -> str:
    """Write: put an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def unguard_cell(text: str) -> str:
    """Read: the text that `guard_cell` was given."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text
