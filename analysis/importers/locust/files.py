"""Read Locust's CSV files whatever wrote them: any version's columns, any encoding, any separator."""

import codecs
import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from charset_normalizer import from_bytes

from common.errors import UserError

STATS = ("Type", "Name", "Request Count", "Failure Count", "Average Response Time")
HISTORY = ("Timestamp", "Type", "Name", "Total Request Count", "Total Failure Count")
FAILURES = ("Name", "Error", "Occurrences")
EXCEPTIONS = ("Count", "Message")
AGGREGATED = "Aggregated"
_MORE = (
    "User Count",
    "Min Response Time",
    "Max Response Time",
    "Average Content Size",
    "Total Average Response Time",
    "Total Min Response Time",
    "Total Max Response Time",
    "Requests/s",
    "Failures/s",
    "Method",
)
"""Columns that are used where there are."""
_TEXTS = frozenset(
    {"Name", "Type", "Method", "Error", "First Seen", "Last Seen", "Message", "Traceback", "Nodes"}
)
_NO_FIGURE = frozenset({"", "N/A", "None", "nan"})
_RENAMED = {
    "# requests": "Request Count",
    "# failures": "Failure Count",
    "# occurrences": "Occurrences",
    "requests failed/s": "Failures/s",
    "average content size (bytes)": "Average Content Size",
}
"""Columns of other versions of Locust, in lower case, and what they are called since version 1."""
_LEGACY_ENCODINGS = ["gb18030", "big5", "cp932", "euc_kr", "cp1252", "cp1251"]
"""What Windows writes in its common locales: Locust opens its files in the locale's encoding."""
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLES = 500
_DECIMAL_COMMA = re.compile(r"^\s*-?\d+,\d+\s*$")


@dataclass
class LocustFiles:
    """The files of one ``--csv`` prefix. Text columns are str, all others float (NaN: not measured).

    ``history`` has no rows and ``failures`` and ``exceptions`` are None where there is no usable file.
    ``problems`` are sentences about what is missing, damaged or assumed.
    """

    prefix: Path
    stats: pd.DataFrame
    history: pd.DataFrame
    failures: pd.DataFrame | None
    exceptions: pd.DataFrame | None
    problems: list[str] = field(default_factory=list)


def read_locust_files(prefix: Path) -> LocustFiles:
    """Read ``PREFIX_stats.csv`` and, where they exist, ``_stats_history``, ``_failures`` and ``_exceptions``.

    Without a statistics file the totals at the end of the history stand for it.

    Raises:
        UserError: there is neither statistics nor history, or a file is not Locust's or cannot be read.
    """
    problems: list[str] = []
    history = _read_optional(prefix, "stats_history", HISTORY, problems)
    stats = _read_statistics(prefix, history, problems)
    if history is None:
        problems.append("There is no usable _stats_history.csv: levels and their throughput are unknown.")
        history = pd.DataFrame(columns=[*HISTORY, "User Count"])
    failures = _read_optional(prefix, "failures", FAILURES, problems)
    if failures is None:
        problems.append("There is no usable _failures.csv: errors have no classes.")
    exceptions = _read_optional(prefix, "exceptions", EXCEPTIONS, problems)
    return LocustFiles(prefix, stats, history, failures, exceptions, problems)


def read_stats(prefix: Path) -> pd.DataFrame | None:
    """Locust's statistics, one row per method and name; None when there is no such file.

    Raises:
        UserError: the file is not one of Locust's, or cannot be read.
    """
    try:
        return _read(prefix, "stats", STATS, [])
    except FileNotFoundError:
        return None


def _path(prefix: Path, kind: str) -> Path:
    return prefix.with_name(f"{prefix.name}_{kind}.csv")


def _read_optional(
    prefix: Path, kind: str, needed: tuple[str, ...], problems: list[str]
) -> pd.DataFrame | None:
    try:
        return _read(prefix, kind, needed, problems)
    except FileNotFoundError:
        return None
    except UserError as error:
        problems.append(f"{error}.")
        return None


def _read_statistics(prefix: Path, history: pd.DataFrame | None, problems: list[str]) -> pd.DataFrame:
    path = _path(prefix, "stats")
    try:
        return _read(prefix, "stats", STATS, problems)
    except FileNotFoundError:
        if history is None or history.empty:
            raise UserError(
                f"{path}: no such file", "give the prefix that Locust's --csv had, without _stats.csv"
            ) from None
    problems.append(f"{path.name} is missing: totals come from the end of the history, without percentiles.")
    last = history.groupby(["Type", "Name"], sort=False).tail(1)
    totals = last[["Type", "Name", *(column for column in last.columns if column.startswith("Total "))]]
    return totals.rename(columns=lambda column: column.removeprefix("Total ")).reset_index(drop=True)


def _read(prefix: Path, kind: str, needed: tuple[str, ...], problems: list[str]) -> pd.DataFrame:
    """One file as a frame with the columns' names of today.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it cannot be read, or has none of the columns that are needed.
    """
    path = _path(prefix, kind)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    text, assumption = decode(content, lambda: _samples(prefix))
    header, rows, separator = _split(text, needed)
    missing = [name for name in needed if name not in header]
    if missing:
        what = "is empty" if not header else f"has no column {', '.join(missing)}"
        raise UserError(f"{path} is not one of Locust's files: it {what}")
    if assumption:
        problems.append(f"{path.name} {assumption}")
    whole = [row for row in rows if len(row) == len(header)]
    if len(whole) < len(rows):
        problems.append(f"{path.name}: {len(rows) - len(whole)} damaged line(s) left out.")
    frame = pd.DataFrame(whole, columns=header, dtype=str)
    frame = frame.loc[:, ~frame.columns.duplicated()]
    return _with_numbers(frame, path, separator, problems)


def _samples(prefix: Path) -> bytes:
    """Lines beyond ASCII of all files of the prefix: one machine wrote them, in one encoding."""
    lines: dict[bytes, None] = {}
    for kind in ("stats", "stats_history", "failures", "exceptions"):
        path = _path(prefix, kind)
        content = path.read_bytes() if path.is_file() else b""
        own = [line for line in content.splitlines() if not line.isascii()]
        lines |= dict.fromkeys(own[:_SAMPLES])
    return b"\n".join(lines)


def decode(content: bytes, samples: Callable[[], bytes]) -> tuple[str, str | None]:
    """The text of a CSV file, and a clause on its encoding where that was not certain.

    A byte order mark decides; then UTF-8 and UTF-16 by their form, then the likeliest legacy encoding.

    Args:
        content: the file.
        samples: gives the text by which an encoding is judged that is none of these.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace"), None
    nulls = content[:200].count(0)
    if nulls > len(content[:200]) / 4:
        encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
        return content.decode(encoding, errors="replace"), f"was read as {encoding.upper()} (assumed)."
    content = content.replace(b"\0", b"")
    try:
        return content.decode("utf-8"), None
    except UnicodeDecodeError:
        text = content.decode("utf-8", errors="replace")
    broken, sample = text.count("�"), samples()
    beyond_ascii = [c for c in sample.decode("utf-8", errors="replace") if not c.isascii()]
    if beyond_ascii.count("�") < len(beyond_ascii) / 2:
        return text, f"has {broken} invalid byte(s), shown as �."
    best = from_bytes(sample, cp_isolation=_LEGACY_ENCODINGS).best()
    if best is None:
        return text, f"is in an unknown encoding: {broken} byte(s) are shown as �."
    assumption = f"is not UTF-8: it was read as {best.encoding.upper()} (assumed), so names may differ."
    return content.decode(best.encoding, errors="replace"), assumption


def _split(text: str, needed: tuple[str, ...]) -> tuple[list[str], list[list[str]], str]:
    """Header, rows and separator: the separator under which most of the needed columns are there."""
    if text.lower().startswith("sep="):  # Excel's own first line
        text = text.partition("\n")[2]
    readings = {separator: _header(text, separator, needed) for separator in ",;\t"}
    separator = max(readings, key=lambda each: sum(name in readings[each] for name in needed))
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
    except csv.Error:
        return [], [], separator
    return readings[separator], rows[1:], separator


def _header(text: str, separator: str, needed: tuple[str, ...]) -> list[str]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    cells = [cell.strip() for cell in next(csv.reader([first], delimiter=separator), [])]
    renamed = {name.lower(): name for name in (*needed, *_MORE)} | _RENAMED
    if "Type" in needed:
        renamed["method"] = "Type"
    return [renamed.get(cell.lower(), cell) for cell in cells]


def _with_numbers(frame: pd.DataFrame, path: Path, separator: str, problems: list[str]) -> pd.DataFrame:
    """Every column but the texts as floats; a name may be NA, a figure may not."""
    unreadable = 0
    for name in frame.columns:
        if name in _TEXTS:
            continue
        cells = frame[name]
        if separator != ",":
            cells = cells.where(~cells.str.match(_DECIMAL_COMMA), cells.str.replace(",", "."))
        numbers = pd.to_numeric(cells, errors="coerce").astype(float)
        unreadable += int((numbers.isna() & ~cells.isin(_NO_FIGURE)).sum())
        frame[name] = numbers
    if unreadable:
        problems.append(f"{path.name}: {unreadable} cell(s) hold no number and count as unmeasured.")
    return frame
