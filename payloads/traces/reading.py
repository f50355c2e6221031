"""Read a trace from a file, or from a folder of files (Data Capture writes one per hour and variant)."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from common.errors import UserError
from payloads.traces.formats import FORMATS, Format, recognize
from payloads.traces.trace import Arrival, Malformed, Trace, ordered

OnMalformed = Literal["stop", "skip"]

SUFFIXES = (".csv", ".jsonl", ".json")


def read_trace(
    path: Path, on_malformed: OnMalformed = "stop", *, shown: str | None = None, bodies: bool = False
) -> Trace:
    """Read the arrivals of ``path`` in any of the known formats.

    Args:
        path: a CSV or JSON-lines file, or a folder that holds such files at any depth.
        on_malformed: ``stop`` at the first line that cannot be read, or ``skip`` it and keep its number.
        shown: what to call ``path`` in messages, where it is a copy.
        bodies: whether to keep the captured bodies of the requests.

    Returns:
        The trace. Requests that the trace marks as failed are left out.

    Raises:
        UserError: no such file, no known format, two formats, a line that cannot be read, or no arrival.
    """
    formats: dict[str, Path] = {}
    arrivals: list[Arrival] = []
    malformed: list[Malformed] = []
    for file in _files(path):
        for line, form, record in _records(file):
            formats.setdefault(form.name, file)
            try:
                arrival = _read(form, record)
            except ValueError as error:
                malformed.append(Malformed(file.name, line, str(error)))
                if on_malformed == "stop":
                    name = file if shown is None else f"{shown.rstrip('/')}/{file.relative_to(path)}"
                    raise UserError(
                        f"{name}: line {line}: {error}", "correct it, or skip lines that cannot be read"
                    ) from None
            else:
                if arrival is not None:
                    arrivals.append(arrival if bodies else replace(arrival, body=None))
    if len(formats) > 1:
        raise UserError(f"{path} holds traces of several formats: {', '.join(formats)}", "give one of them")
    if not arrivals:
        raise UserError(f"{path} holds no request", f"give a trace in one of these formats: {_known()}")
    return Trace(next(iter(formats)), ordered(arrivals), tuple(malformed))


def _read(form: Format, record: Any) -> Arrival | None:
    if not isinstance(record, dict):
        finding = record if isinstance(record, str) else "it is not a JSON object"
        raise ValueError(finding)  # noqa: TRY004 - the file's fault, not the program's
    try:
        return form.read(record)
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing") from None


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        if not found:
            raise UserError(f"{path} holds no {', '.join(SUFFIXES)} file", "give the folder of the trace")
        return found
    if not path.is_file():
        raise UserError(f"{path}: no such file", "give a trace as CSV or JSON lines")
    return [path]


def _records(file: Path) -> Iterator[tuple[int, Format, Any]]:
    """Line number, format and content of each record; if a line is not JSON, the content is the finding."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from None
    if text.lstrip()[:1] in ("{", "["):
        yield from _json_records(file, text)
    else:
        yield from _csv_records(file, text)


def _csv_records(file: Path, text: str) -> Iterator[tuple[int, Format, Any]]:
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        form = _recognized(file, list(rows.fieldnames or ()))
        for row in rows:
            short = [key for key, value in row.items() if value is None]
            unnamed = None in row
            yield (
                rows.line_num,
                form,
                ("it does not have as many fields as the header" if short or unnamed else row),
            )
    except csv.Error as error:
        raise UserError(
            f"{file}: line {rows.line_num}: {error}", "give a trace as CSV or JSON lines"
        ) from None


def _json_records(file: Path, text: str) -> Iterator[tuple[int, Format, Any]]:
    form: Format | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        record: Any
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            record = f"it is not JSON ({error})"
        if form is None:
            form = _recognized(file, list(record) if isinstance(record, dict) else [])
        yield number, form, record


def _recognized(file: Path, keys: list[str]) -> Format:
    form = recognize(keys)
    if form is None:
        has = f"its first record has {', '.join(keys[:8])}" if keys else "its first line is not a record"
        raise UserError(f"{file} has no known format: {has}", f"give one of {_known()}")
    return form


def _known() -> str:
    return "; ".join(f"{form.name} ({', '.join(sorted(form.keys))})" for form in FORMATS)
