"""The files of FMBench's result folders: which suites a folder holds, and what each file says.

FMBench writes ``per_inference/*.json`` (one file per request) and ``per_chunk/*.json`` (one per burst), and
the same again as ``per_inference_request_results.csv`` and ``all_metrics.csv``. Any of them may be missing. A
file or row that cannot be read is left out and reported, never guessed.
"""

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pandas as pd

from analysis.importers.fmbench.records import (
    BurstRecord,
    Fields,
    RecordError,
    RequestRecord,
    burst_record,
    recorded_at,
    request_record,
)
from common.errors import UserError
from common.formatting import plural

REQUESTS_JSON, BURSTS_JSON = "per_inference", "per_chunk"
REQUESTS_CSV, BURSTS_CSV = "per_inference_request_results.csv", "all_metrics.csv"
_NEEDED = {
    REQUESTS_CSV: ("experiment_name", "concurrency", "latency"),
    BURSTS_CSV: ("experiment_name", "concurrency", "successes"),
}
Record = TypeVar("Record", RequestRecord, BurstRecord)


@dataclass
class SuiteFiles:
    """Where the files of one suite lie; None where there is no such file or folder."""

    root: Path
    requests_json: Path | None = None
    bursts_json: Path | None = None
    requests_csv: Path | None = None
    bursts_csv: Path | None = None

    @property
    def has_json(self) -> bool:
        """Whether the suite has a folder of JSON files."""
        return self.requests_json is not None or self.bursts_json is not None

    @property
    def has_csv(self) -> bool:
        """Whether the suite has a CSV file."""
        return self.requests_csv is not None or self.bursts_csv is not None


@dataclass
class Suite:
    """What the files of one suite say. ``columns`` holds columns of the CSV by experiment name."""

    root: Path
    requests: list[RequestRecord]
    bursts: list[BurstRecord]
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def find_suites(folder: Path) -> list[SuiteFiles]:
    """Every suite in or below ``folder``: each folder that holds files of FMBench's.

    A CSV file in a folder above or below the only folder of JSON files belongs to the same suite.

    Raises:
        UserError: no such folder, or no FMBench results in it.
    """
    if not folder.is_dir():
        what = (
            "is a file, not a folder; give the folder that holds it" if folder.exists() else "does not exist"
        )
        raise UserError(f"{folder} {what}", "give a folder of FMBench results")
    suites: dict[Path, SuiteFiles] = {}
    for path in sorted(folder.rglob("*")):
        attribute = _PLACES.get(path.name)
        if attribute is not None and path.is_dir() == attribute.endswith("_json"):
            setattr(suites.setdefault(path.parent, SuiteFiles(path.parent)), attribute, path)
    _merge(suites)
    if not suites:
        raise UserError(
            f"{folder} holds no FMBench results: expected {REQUESTS_JSON}/*.json, {BURSTS_JSON}/*.json, "
            f"{BURSTS_CSV} or {REQUESTS_CSV}"
        )
    return list(suites.values())


_PLACES = {
    REQUESTS_JSON: "requests_json",
    BURSTS_JSON: "bursts_json",
    REQUESTS_CSV: "requests_csv",
    BURSTS_CSV: "bursts_csv",
}


def _merge(suites: dict[Path, SuiteFiles]) -> None:
    """Join a folder of CSV files only with the one folder of JSON files above or below it."""
    for root in [root for root, files in suites.items() if not files.has_json]:
        others = [
            files
            for other, files in suites.items()
            if files.has_json and not files.has_csv and (other in root.parents or root in other.parents)
        ]
        if len(others) == 1:
            others[0].requests_csv = suites[root].requests_csv
            others[0].bursts_csv = suites[root].bursts_csv
            del suites[root]


def read_suite(files: SuiteFiles) -> Suite:
    """Read all files of a suite; JSON is preferred, because its file names hold times.

    Raises:
        UserError: not one record can be read.
    """
    problems: list[str] = []
    requests = _read_json(files.requests_json, request_record, problems)
    bursts = _read_json(files.bursts_json, burst_record, problems)
    burst_rows = _read_csv(files.bursts_csv, problems)
    request_rows = [] if requests else _read_csv(files.requests_csv, problems)
    bursts = bursts or _parse(BURSTS_CSV, _numbered(burst_rows), burst_record, problems)
    requests = requests or _parse(REQUESTS_CSV, _numbered(request_rows), request_record, problems)
    if not requests and not bursts:
        first = problems[0] if problems else "its files are empty."
        raise UserError(f"{files.root}: no FMBench record can be read. {first}")
    rows = (*request_rows, *burst_rows)
    return Suite(files.root, requests, bursts, {row["experiment_name"]: row for row in rows}, problems)


def _numbered(rows: list[dict[str, str]]) -> list[tuple[str, object, float | None]]:
    return [(f"row {index}", row, None) for index, row in enumerate(rows, start=1)]


def _read_json(
    folder: Path | None, parse: Callable[[Fields, float | None], Record], problems: list[str]
) -> list[Record]:
    if folder is None:
        return []
    contents = list(_json_files(folder))
    records = _parse(folder.name, contents, parse, problems)
    if all(record.recorded_at is not None for record in records):
        records.sort(key=lambda record: record.recorded_at or 0.0)
    return records


def _json_files(folder: Path) -> Iterator[tuple[str, object, float | None]]:
    for path in sorted(folder.glob("*.json")):
        try:
            content: object = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError):
            content = RecordError("it is not valid JSON")
        except OSError as error:
            content = RecordError(error.strerror or str(error))
        yield path.name, content, recorded_at(path)


def _parse(
    source: str,
    contents: list[tuple[str, object, float | None]],
    parse: Callable[[Fields, float | None], Record],
    problems: list[str],
) -> list[Record]:
    """The records that can be read; one sentence about all others, with the first of them as an example."""
    records: list[Record] = []
    damaged: list[str] = []
    for name, content, time in contents:
        try:
            records.append(parse(_fields(content), time))
        except RecordError as error:
            damaged.append(f"{name}: {error}")
    if damaged:
        what = "damaged file" if source in (REQUESTS_JSON, BURSTS_JSON) else "damaged row"
        example = damaged[0] if len(damaged) == 1 else f"the first is {damaged[0]}"
        problems.append(f"{source}: {plural(len(damaged), what)} left out ({example}).")
    return records


def _fields(content: object) -> Fields:
    if isinstance(content, RecordError):
        raise content
    if not isinstance(content, dict):
        raise RecordError("it holds no object of names and values")
    return content


def _read_csv(path: Path | None, problems: list[str]) -> list[dict[str, str]]:
    if path is None:
        return []
    try:
        with warnings.catch_warnings(record=True) as skipped:
            warnings.simplefilter("always", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
                encoding_errors="replace",
                on_bad_lines="warn",
            )
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors
        problems.append(f"{path.name} cannot be read ({str(error).splitlines()[0][:120]}).")
        return []
    if len(frame) and not path.read_bytes().endswith(b"\n"):
        problems.append(f"{path.name}: the last line is cut off and was left out.")
        frame = frame.iloc[:-1]
    if skipped:
        problems.append(f"{path.name}: rows with too many cells were left out.")
    missing = [name for name in _NEEDED[path.name] if name not in frame.columns]
    if missing:
        problems.append(f"{path.name} is not FMBench's: it has no column {', '.join(missing)}.")
        return []
    rows = frame.fillna("").to_dict("records")
    return [{str(name): str(value) for name, value in row.items()} for row in rows]
