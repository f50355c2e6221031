"""A step of several workers: who made how much of it, and whether they agree."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import make_report
from analysis.report import measure_and_judge
from runfolder import layout
from tests.support.synthetic_run import Deployed, write_run


def two_workers(folder: Path, *, far_ms: float) -> None:
    """A run whose rows are of two workers in turn; the second is ``far_ms`` farther from the endpoint."""
    write_run(folder, (Deployed(measure_s=240, concurrency=(8,)),))
    rows = pd.read_csv(folder / layout.REQUESTS)
    far = rows.index % 4 == 0
    rows["worker"] = np.where(far, "w2", "w1")
    rows["connect_ms"] = np.where(rows.index < 8, np.where(far, 3.0 + 2 * far_ms, 3.0), np.nan)
    for name in ("ttft_ms", "ttfo_ms", "e2e_ms", "elapsed_ms"):
        rows.loc[far, name] += far_ms
    rows.to_csv(folder / layout.REQUESTS, index=False)
    reports = pd.read_csv(folder / layout.WORKERS)
    second = reports.assign(
        worker="w2", host="far", cpu_percent=31.0, rtt_ms=far_ms, clock_offset_ms=-31.25, clock_error_ms=15.5
    )
    pd.concat([reports.assign(rtt_ms=0.3), second]).to_csv(folder / layout.WORKERS, index=False)


def test_every_worker_has_a_row_and_a_far_one_a_reason(tmp_path: Path) -> None:
    two_workers(tmp_path, far_ms=120.0)
    (step,) = measure_and_judge(tmp_path).steps
    near, far = step.workers
    assert (near.worker, far.worker) == ("w1", "w2")
    assert near.share == pytest.approx(0.75, abs=0.02)
    assert near.rows + far.rows == step.window_counts.ok
    assert near.first_token_p50_ms is not None
    assert far.first_token_p50_ms == pytest.approx(near.first_token_p50_ms + 120, rel=0.05)
    assert (far.rtt_ms, far.connect_p50_ms, far.cpu_max, far.host) == (120.0, 243.0, 31.0, "far")
    (reason,) = (r for r in step.trust.reasons if r.code == "workers_disagree")
    assert reason.level == "warn"
    assert "round trips to the endpoint: 120 ms" in reason.text or "and 120 ms)" in reason.text
    assert (near.clock_offset_ms, far.clock_offset_ms, far.clock_error_ms) == (None, -31.25, 15.5)
    assert {reason.values["worker"]} <= {"w1", "w2"}


def test_workers_that_agree_give_no_reason(tmp_path: Path) -> None:
    two_workers(tmp_path, far_ms=0.0)
    (step,) = measure_and_judge(tmp_path).steps
    assert len(step.workers) == 2
    assert "workers_disagree" not in step.trust.codes


def test_a_step_that_one_worker_spoiled_says_which(tmp_path: Path) -> None:
    two_workers(tmp_path, far_ms=0.0)
    rows = pd.read_csv(tmp_path / layout.REQUESTS)
    spoiled = (rows["worker"] == "w2") & (rows.index % 16 == 0)
    rows.loc[spoiled, "outcome"] = "failed"
    rows.to_csv(tmp_path / layout.REQUESTS, index=False)
    reports = pd.read_csv(tmp_path / layout.WORKERS)
    busy = reports["worker"] == "w2"
    reports.loc[busy, ["cpu_percent", "lag_p99_ms"]] = (99.0, 400.0)
    reports.to_csv(tmp_path / layout.WORKERS, index=False)
    (step,) = measure_and_judge(tmp_path).steps
    near, far = step.workers
    assert (near.failed, far.failed) == (0, step.window_counts.failed)
    texts = {reason.code: reason.text for reason in step.trust.reasons}
    assert "came from worker w2 on far, which made 2" in texts["one_worker_failed"]
    assert "(worker w2 on far; of the others at most " in texts["client_cpu"]
    assert "lagged 400 ms at p99 (worker w2 on far; of the others at most " in texts["client_lag"]


def test_failures_of_all_workers_are_nobodys(tmp_path: Path) -> None:
    two_workers(tmp_path, far_ms=0.0)
    rows = pd.read_csv(tmp_path / layout.REQUESTS)
    rows.loc[rows.index % 7 == 0, "outcome"] = "failed"
    rows.to_csv(tmp_path / layout.REQUESTS, index=False)
    (step,) = measure_and_judge(tmp_path).steps
    assert "failed_requests" in step.trust.codes
    assert "one_worker_failed" not in step.trust.codes


def test_a_single_worker_needs_no_table(run_folder: Path) -> None:
    assert all(step.workers == () for step in measure_and_judge(run_folder).steps)


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_the_workers_are_on_both_pages_and_in_the_summary(tmp_path: Path) -> None:
    two_workers(tmp_path, far_ms=120.0)
    made = make_report(tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "| 8 | w2 on far | " in page
    assert "| -31.2 ± 15.5 ms |" in page
    assert "w2 on far" in (tmp_path / "report.html").read_text()
    (step,) = made.summary["experiments"][0]["steps"]
    assert [worker["worker"] for worker in step["workers"]] == ["w1", "w2"]
    assert step["workers"][1]["rtt_ms"] == 120.0
