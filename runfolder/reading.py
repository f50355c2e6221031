"""Read a run folder's tables into frames. Damaged rows are left out and reported, never guessed.

pyarrow's CSV reader parses the tables (measured in ``docs/performance.md``). The result is pandas frames.
"""

import codecs
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv

from runfolder import layout
from runfolder.cells import unguard_cell
from runfolder.column_kinds import COUNTS, DURATIONS, LATER, TEXT, UNREAD
from runfolder.manifest import Manifest
from runfolder.records import (
    CLOUDWATCH_COLUMNS,
    GAP_COLUMNS,
    REQUEST_COLUMNS,
    STEP_COLUMNS,
    WORKER_COLUMNS,
)

_CHUNK = 1 << 22
_REPAIRS = 20
_OUTCOMES = ("ok", "failed", "censored", "withheld")


@dataclass
class RunTables:
    """A run folder in memory. ``problems`` are sentences about missing, damaged and skipped data."""

    folder: Path
    manifest: Manifest
    steps: pd.DataFrame
    requests: pd.DataFrame
    gaps: pd.DataFrame
    workers: pd.DataFrame
    cloudwatch: pd.DataFrame
    problems: list[str] = field(default_factory=list)


def read_run(folder: Path, manifest: Manifest, *, requests_from: int = 0) -> RunTables:
    """Read the tables of the run in ``folder``.

    A missing or damaged table becomes an empty or shorter frame and a sentence in ``problems``.

    Args:
        folder: the run folder.
        manifest: its manifest.
        requests_from: the byte of requests.csv after which requests are read, from the next line on: while a
            load runs, its newest requests are enough.

    Raises:
        OSError: a table cannot be opened.
    """
    problems: list[str] = []
    steps = read_table(folder / layout.STEPS, STEP_COLUMNS, problems)
    requests = read_table(
        folder / layout.REQUESTS, REQUEST_COLUMNS, problems, skip=UNREAD, start=requests_from
    )
    return RunTables(
        folder=folder,
        manifest=manifest,
        steps=_usable_steps(steps, problems),
        requests=usable_requests(requests, problems),
        gaps=read_table(folder / layout.GAPS, GAP_COLUMNS, problems),
        workers=read_table(folder / layout.WORKERS, WORKER_COLUMNS, problems),
        cloudwatch=read_table(folder / layout.CLOUDWATCH, CLOUDWATCH_COLUMNS, problems, optional=True),
        problems=problems,
    )


def read_table(
    path: Path,
    columns: tuple[str, ...],
    problems: list[str],
    *,
    optional: bool = False,
    skip: frozenset[str] = frozenset(),
    start: int = 0,
) -> pd.DataFrame:
    """Read the given columns of a CSV file: text as categories, the rest as floats (NaN: not measured).

    A last line without a newline was cut off by a crash and is left out. Unknown columns are ignored, missing
    ones are NaN. Lines with a wrong number of cells, and cells that are not numbers, are left out.
    """
    wanted = [name for name in columns if name not in skip]
    if not path.exists():
        if not optional:
            problems.append(f"{path.name} is missing.")
        return _frame(wanted)
    buffer, cut = _whole_lines(path)
    if cut:
        problems.append(f"{path.name}: the last line is cut off and was left out.")
    if buffer is None:
        if not optional:
            problems.append(f"{path.name} is empty.")
        return _frame(wanted)
    try:
        frame = _parse(_lines_after(buffer, start), path, wanted, problems)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        problems.append(f"{path.name} cannot be read ({str(error).splitlines()[0][:160]}): it was left out.")
        return _frame(wanted)
    missing = [name for name in wanted if name not in frame.columns]
    if absent := [name for name in missing if name not in LATER]:
        problems.append(f"{path.name} has no column {', '.join(absent)}.")
    for name in missing:
        frame[name] = pd.Categorical([None] * len(frame)) if name in TEXT else np.nan
    return _unguarded(frame[wanted])


def _unguarded(frame: pd.DataFrame) -> pd.DataFrame:
    """The texts as they were before `guard_cell`. Each distinct text is handled once."""
    for name in TEXT.intersection(frame.columns):
        texts = [str(text) for text in frame[name].cat.categories]
        plain = [unguard_cell(text) for text in texts]
        if plain != texts:
            frame[name] = frame[name].map(dict(zip(texts, plain, strict=True))).astype("category")
    return frame


def _whole_lines(path: Path) -> tuple[pa.Buffer | None, bool]:
    """The file up to its last newline, and whether anything followed it."""
    size = path.stat().st_size
    if size == 0:
        return None, False
    with path.open("rb") as file:
        end, step = size, 1 << 16
        while end > 0:
            start = max(0, end - step)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                whole = start + at + 1
                return pa.memory_map(str(path)).read_buffer(whole), whole < size
            end = start
    return None, True


def _lines_after(buffer: pa.Buffer, start: int) -> pa.Buffer:
    """The header and the whole lines that begin after a byte; everything for 0."""
    if start == 0:
        return buffer
    header = buffer.slice(0, min(buffer.size, 1 << 14)).to_pybytes().partition(b"\n")[0]
    rest: bytes = buffer.slice(min(start, buffer.size)).to_pybytes()
    return pa.py_buffer(header + b"\n" + rest.partition(b"\n")[2])


def _parse(buffer: pa.Buffer, path: Path, wanted: list[str], problems: list[str]) -> pd.DataFrame:
    header = _header(buffer)
    include = [name for name in wanted if name in header]
    if not include:
        problems.append(f"{path.name} has none of the columns of this file: it was left out.")
        return _frame(wanted)
    text = pa.dictionary(pa.int32(), pa.string())
    types = {name: text if name in TEXT else pa.float64() for name in include}
    buffer = _valid_text(buffer, path, problems)
    try:
        table, damaged = _read(buffer, include, types)
        frame: pd.DataFrame = table.to_pandas(self_destruct=True, split_blocks=True)
    except pa.ArrowInvalid:  # a cell is not a number: read as text, keep the numbers
        table, damaged = _read(buffer, include, dict.fromkeys(include, pa.string()))
        frame = _coerce(table.to_pandas(), path, problems)
    if damaged:
        problems.append(f"{path.name}: {damaged} damaged line(s) left out.")
    return frame


def _valid_text(buffer: pa.Buffer, path: Path, problems: list[str]) -> pa.Buffer:
    """The buffer itself, or with a replacement character for each sequence of bytes that is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, buffer.size, _CHUNK):
            decoder.decode(buffer.slice(start, min(_CHUNK, buffer.size - start)).to_pybytes())
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        content: bytes = buffer.to_pybytes()
        text = content.decode("utf-8", errors="replace")
        invalid = text.count("�") - content.count("�".encode())
        problems.append(f"{path.name}: {invalid} invalid byte(s) are read as �.")
        return pa.py_buffer(text.encode())
    return buffer


def _header(buffer: pa.Buffer) -> list[str]:
    first = buffer.slice(0, min(buffer.size, 1 << 14)).to_pybytes().split(b"\n", 1)[0]
    text: str = first.decode("utf-8", "replace")
    return text.lstrip("\ufeff").strip().split(",")


def _read(buffer: pa.Buffer, include: list[str], types: dict[str, Any]) -> tuple[pa.Table, int]:
    """The table, and the number of damaged lines that were left out.

    An extra quotation mark joins all lines up to the next quotation mark into one damaged row. The first of
    these lines is removed, and the others are read again.
    """
    cut = 0
    while True:
        table, damaged = _read_once(buffer, include, types)
        swallowed = next((row for row in damaged if "\n" in row), None)
        if swallowed is None or cut == _REPAIRS:
            return table, cut + len(damaged)
        line = swallowed.partition("\n")[0].encode() + b"\n"
        buffer = pa.py_buffer(buffer.to_pybytes().replace(line, b"", 1))
        cut += 1


def _read_once(buffer: pa.Buffer, include: list[str], types: dict[str, Any]) -> tuple[pa.Table, list[str]]:
    damaged: list[str] = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        damaged.append(row.text or "")
        return "skip"

    table = arrow_csv.read_csv(
        pa.BufferReader(buffer),
        read_options=arrow_csv.ReadOptions(use_threads=True, block_size=1 << 22),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=include,
            column_types=types,
            null_values=["", "NaN", "nan"],
            strings_can_be_null=True,
        ),
    )
    return table, damaged


def _coerce(frame: pd.DataFrame, path: Path, problems: list[str]) -> pd.DataFrame:
    bad = 0
    for name in frame.columns:
        if name in TEXT:
            frame[name] = frame[name].astype("category")
        else:
            numbers = pd.to_numeric(frame[name], errors="coerce")
            bad += int((numbers.isna() & frame[name].notna()).sum())
            frame[name] = numbers.astype(float)
    if bad:
        problems.append(f"{path.name}: {bad} cell(s) hold no number and count as unmeasured.")
    return frame


def _frame(columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series([], dtype="category" if name in TEXT else float) for name in columns}
    )


def _usable_steps(steps: pd.DataFrame, problems: list[str]) -> pd.DataFrame:
    usable = steps["step"].notna() & ((steps["concurrency"] >= 1) | (steps["rate"] > 0))
    if not usable.all():
        problems.append(
            f"steps.csv: {int((~usable).sum())} row(s) without step, concurrency or rate left out."
        )
    steps = steps[usable].drop_duplicates("step", keep="last").reset_index(drop=True)
    backwards = steps["measure_ended_at"] <= steps["measure_started_at"]
    if backwards.any():
        problems.append(f"steps.csv: {int(backwards.sum())} window(s) end before they begin: void.")
        for name in ("measure_started_at", "measure_ended_at"):
            steps[name] = steps[name].where(~backwards)
    return steps


def usable_requests(requests: pd.DataFrame, problems: list[str]) -> pd.DataFrame:
    """Drop unusable rows and impossible values; report how many of each.

    Rows without step, start or outcome are dropped, and ok rows without end-to-end latency. Negative or
    infinite durations and counts, and a first token after the last one, become NaN.
    """
    finite = np.isfinite(requests["started_at"].to_numpy(dtype=float)) & (requests["started_at"] > 0)
    keep = finite & requests["step"].notna() & requests["outcome"].isin(_OUTCOMES)
    _report(problems, int((~keep).sum()), "row(s) without step, start or outcome left out")
    impossible = 0
    for name in (*DURATIONS, *COUNTS):
        values = requests[name].to_numpy(dtype=float)
        wrong = (values < 0) | np.isinf(values)
        if wrong.any():
            impossible += int(wrong.sum())
            requests[name] = np.where(wrong, np.nan, values)
    _report(problems, impossible, "negative or infinite value(s) count as unmeasured")
    late = (requests["ttft_ms"] > requests["e2e_ms"]).to_numpy()
    if late.any():
        _report(
            problems, int(late.sum()), "row(s) with the first token after the last: TTFT counts as unmeasured"
        )
        for name in ("ttft_ms", "tpot_ms"):
            requests[name] = np.where(late, np.nan, requests[name].to_numpy(dtype=float))
    endless = (requests["outcome"] == "ok") & requests["e2e_ms"].isna()
    _report(problems, int((endless & keep).sum()), "ok row(s) without end-to-end latency left out")
    keep &= ~endless
    return requests if keep.all() else requests[keep].reset_index(drop=True)


def _report(problems: list[str], count: int, what: str) -> None:
    if count:
        problems.append(f"requests.csv: {count} {what}.")
