"""Protect text cells of CSV files, so that a spreadsheet does not run them as formulas.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@``. Text from a model server or a payload
file may begin like that. Such a cell is written with an apostrophe before it, as spreadsheets do.
Source: OWASP, CSV injection.
"""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_FIRST = frozenset((*_FORMULA, "'"))


def guard_cell(text: str) -> str:
    """For writing: put an apostrophe before text that a spreadsheet would run as a formula."""
    if text[:1] not in _FIRST:  # almost every cell, and there are tens of thousands a second
        return text
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def unguard_cell(text: str) -> str:
    """For reading: the text as it was before `guard_cell`."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text
