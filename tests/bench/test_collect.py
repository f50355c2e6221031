"""``make collect``: rows that workers still have on disk come into the run folder, each once."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.report import measure_and_judge
from bench.collect import Collected, collect
from common.errors import UserError
from runfolder.manifest import read_manifest
from runfolder.records import REQUEST_COLUMNS, Request
from runfolder.row_spool import RowSpool, SpoolHeader
from tests.support.synthetic_run import Deployed, write_run

CLOCK_AHEAD_S = 30.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", (Deployed(measure_s=60, concurrency=(4,)),))
    return tmp_path / "run"


@pytest.fixture
def spools(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def take_rows(folder: Path, count: int) -> list[Request]:
    """Take the last rows of the run away, as if they had never arrived; its counts stay."""
    table = pd.read_csv(folder / "requests.csv")
    table[:-count].to_csv(folder / "requests.csv", index=False)
    taken = table[-count:].astype(object).where(table[-count:].notna(), None)
    values: list[list[Any]] = [[row.get(name) for name in REQUEST_COLUMNS] for _, row in taken.iterrows()]
    return [Request(*row) for row in values]


def leave(spools: Path, run_id: str, rows: list[Request], columns: list[str] | None = None) -> RowSpool:
    """The spool that a killed worker with a wrong clock leaves."""
    columns = columns or list(REQUEST_COLUMNS)
    spool = RowSpool(spools / "run" / f"{len(rows)}.rows", SpoolHeader(run_id, "x", "c0", "w0", columns))
    spool.set_offset(CLOCK_AHEAD_S)
    for number, row in enumerate(rows, 1):
        values = {name: getattr(row, name, None) for name in columns}
        values["started_at"] = row.started_at + CLOCK_AHEAD_S
        spool.add(number, number, tuple(values[name] for name in columns))
    return spool


def test_what_had_not_arrived_is_added_once_and_the_report_knows(folder: Path, spools: Path) -> None:
    whole = pd.read_csv(folder / "requests.csv")
    before = measure_and_judge(folder).steps[0]
    rows = take_rows(folder, 40)
    counts = pd.read_csv(folder / "steps.csv")
    counts["ok"] -= 40
    counts.to_csv(folder / "steps.csv", index=False)
    run_id = read_manifest(folder).run_id
    leave(spools, run_id, rows).close()
    leave(spools, run_id, rows[:10]).close()
    other = leave(spools / "other", "another run", rows[:20])
    other.close()

    assert collect(folder, spools) == Collected(2, 40)
    pd.testing.assert_frame_equal(pd.read_csv(folder / "requests.csv"), whole, rtol=1e-9)
    step = measure_and_judge(folder).steps[0]
    assert step.window_counts == before.window_counts
    assert "rows_missing" not in step.trust.codes
    saved = pd.read_csv(folder / "steps.csv").iloc[0]
    assert (saved["ok"], saved["started"]) == (counts["ok"][0] + 40, counts["started"][0])
    assert saved["reason_codes"] == "rows_recovered"
    assert [path.name for path in spools.rglob("*.rows")] == [other.path.name]
    assert collect(folder, spools) == Collected(0, 0)


def test_a_line_that_a_killed_master_cut_off_is_replaced(folder: Path, spools: Path) -> None:
    whole = pd.read_csv(folder / "requests.csv")
    rows = take_rows(folder, 1)
    with (folder / "requests.csv").open("a") as table:
        table.write(f"{rows[0].request_id},")
    leave(spools, read_manifest(folder).run_id, rows).close()
    collect(folder, spools)
    pd.testing.assert_frame_equal(pd.read_csv(folder / "requests.csv"), whole, rtol=1e-9)


def test_rows_of_another_version_keep_the_columns_that_both_know(folder: Path, spools: Path) -> None:
    rows = take_rows(folder, 3)
    columns = ["unheard_of", *(name for name in REQUEST_COLUMNS if name != "turn")]
    leave(spools, read_manifest(folder).run_id, rows, columns).close()
    assert collect(folder, spools).rows == 3


def test_a_table_of_another_version_keeps_its_columns(folder: Path, spools: Path) -> None:
    rows, path = take_rows(folder, 3), folder / "requests.csv"
    table = pd.read_csv(path).drop(columns=["session_id", "turn"])
    table.insert(4, "unheard_of", 7)
    table.to_csv(path, index=False)
    leave(spools, read_manifest(folder).run_id, rows).close()
    collect(folder, spools)
    added = pd.read_csv(path)
    assert list(added) == list(table)
    assert list(added["request_id"][-3:]) == [row.request_id for row in rows]
    assert list(added["e2e_ms"][-3:]) == pytest.approx([row.e2e_ms for row in rows])


def test_a_load_generator_that_still_runs_keeps_its_rows(folder: Path, spools: Path) -> None:
    spool = leave(spools, read_manifest(folder).run_id, take_rows(folder, 3))
    with pytest.raises(UserError, match="still uses"):
        collect(folder, spools)
    assert spool.path.exists()
    spool.close()


def test_a_folder_that_is_not_there_is_named(folder: Path, spools: Path) -> None:
    with pytest.raises(UserError, match=f"there is no folder {os.fspath(spools)}"):
        collect(folder, spools)
