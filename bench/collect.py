"""Adds rows that workers still have on disk to the run folder, after the run."""

import csv
import os
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from common.errors import UserError, writing
from common.formatting import plural
from runfolder import layout
from runfolder.appending import RowAppender, read_rows, replace_rows
from runfolder.manifest import manifest_of
from runfolder.records import REQUEST_COLUMNS, STEP_COLUMNS, ReasonCode, Request, StepRow
from runfolder.row_spool import SUFFIX, SpoolContent, orphaned, read_spool

_COLUMNS = frozenset(REQUEST_COLUMNS)
_NEEDED = frozenset(field.name for field in fields(Request)[:5])
"""The columns that have no default."""
_TAIL_BYTES = 100_000
"""More than a row has."""
_CODE: ReasonCode = "rows_recovered"


Outcomes = dict[tuple[str, str], str]
"""Step and id of each request → its outcome."""


class Collected(NamedTuple):
    """What was added."""

    spools: int
    rows: int
    """Rows that the run folder did not have yet."""


def collect(folder: Path, spools: Path) -> Collected:
    """Add the rows of workers' spools to a run folder, each once, and delete the spools.

    Args:
        folder: the run folder.
        spools: files of this run, in this folder or in folders in it; files of other runs are left alone.

    Raises:
        UserError: there is no such run, a load generator still uses one of the files, or a file cannot be
            read or written.
    """
    run_id = manifest_of(folder).run_id
    if not spools.is_dir():
        raise UserError(f"there is no folder {spools}", "name the folder with the workers' files", "spool")
    known = _known_rows(folder / layout.REQUESTS)
    steps = {row.step: row for row in read_rows(folder / layout.STEPS, StepRow)}
    taken = rows = 0
    for path in sorted(spools.rglob(f"*{SUFFIX}")):
        content = _read(path)
        if content is None or content.header.run_id != run_id:
            continue
        with orphaned(path) as free:
            if not free:
                raise UserError(f"a load generator still uses {path}", "collect after the run has ended")
            fresh = [row for row in _requests(content) if row.step in steps and _key(row) not in known]
            known |= {_key(row): row.outcome for row in fresh}
            _append(folder, fresh, steps, known)
            path.unlink()
        taken, rows = taken + 1, rows + len(fresh)
    return Collected(taken, rows)


def _read(path: Path) -> SpoolContent | None:
    try:
        return read_spool(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror or error})", "check its permissions"
        ) from None


def _requests(content: SpoolContent) -> list[Request]:
    """The rows, with times in the master's clock; columns of other versions are left out."""
    columns = content.header.columns
    if missing := _NEEDED - set(columns):
        raise UserError(
            f"rows of {content.header.worker} have no {min(missing)}", "use the version that made them"
        )
    requests = []
    for row in content.rows:
        values = dict(zip(columns, row.values, strict=False))
        request = Request(**{name: value for name, value in values.items() if name in _COLUMNS})
        request.started_at -= content.offset
        requests.append(request)
    return requests


def _key(row: Request) -> tuple[str, str]:
    return row.step, row.request_id


def _known_rows(path: Path) -> Outcomes:
    """The requests in a table, from which a last line that was cut off is removed."""
    if not path.exists():
        return {}
    with writing(path), path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _TAIL_BYTES))
        file.truncate(end - len(file.read().rpartition(b"\n")[2]))
    with path.open(newline="", encoding="utf-8") as table:
        return {(row["step"], row["request_id"]): row["outcome"] for row in csv.DictReader(table)}


def _append(folder: Path, rows: list[Request], steps: dict[str, StepRow], known: Outcomes) -> None:
    """Append the rows of one worker, and count their steps anew."""
    if not rows:
        return
    path = folder / layout.REQUESTS
    with writing(path):
        table = RowAppender[Request](path, REQUEST_COLUMNS)
        table.append(rows)
        table.close()
    for name, added in Counter(row.step for row in rows).items():
        step = steps[name]
        counts = Counter(outcome for (known_step, _), outcome in known.items() if known_step == name)
        step.ok, step.failed = counts["ok"], counts["failed"]
        step.censored, step.withheld = counts["censored"], counts["withheld"]
        step.started = max(step.started or 0, counts.total())
        _note(step, f"{plural(added, 'row')} of {rows[0].worker} came from its disk after the run")
    with writing(folder / layout.STEPS):
        replace_rows(folder / layout.STEPS, STEP_COLUMNS, list(steps.values()))


def _note(step: StepRow, text: str) -> None:
    step.reasons = text if step.reasons is None else f"{step.reasons}; {text}"
    codes = [*(step.reason_codes or "").split(";"), _CODE]
    step.reason_codes = ";".join(dict.fromkeys(code for code in codes if code))
