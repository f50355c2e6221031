"""A step whose workers changed, or whose load nobody saw, is void unless its rows show that the load held."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.measure.results import StepResult
from analysis.metrics import in_flight
from analysis.metrics.definitions import Window
from analysis.report import measure_and_judge
from tests.analysis.records import records
from tests.support.synthetic_run import Deployed, write_run

CONCURRENCY = 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", (Deployed(measure_s=60, concurrency=(CONCURRENCY,)),))
    return tmp_path / "run"


def change_step(folder: Path, **values: str | float | None) -> None:
    steps = pd.read_csv(folder / "steps.csv")
    for name, value in values.items():
        steps[name] = steps[name].astype(object)
        steps.loc[0, name] = value
    steps.to_csv(folder / "steps.csv", index=False)


def pause(folder: Path, *, seconds: float) -> None:
    """Take the rows out of a part of the window, and their counts, as if nobody had sent any."""
    step, rows = pd.read_csv(folder / "steps.csv").iloc[0], pd.read_csv(folder / "requests.csv")
    begin = step["measure_started_at"] + 20
    kept = rows[(rows["started_at"] < begin - 5) | (rows["started_at"] > begin + seconds)]
    kept.to_csv(folder / "requests.csv", index=False)
    counts = {"started": len(kept), "ok": len(kept), "locust_requests": len(kept)}
    change_step(folder, **counts)


def judged(folder: Path) -> StepResult:
    return measure_and_judge(folder).steps[0]


@pytest.mark.parametrize("code", ["worker_lost", "worker_joined", "fewer_workers"])
def test_other_workers_are_a_warning_where_the_load_held(folder: Path, code: str) -> None:
    change_step(folder, state="degraded", reasons="worker w1 was lost", reason_codes=code)
    step = judged(folder)
    assert step.in_flight.least is not None
    assert step.in_flight.least > 0.95 * CONCURRENCY
    assert (step.trust.level, code in step.trust.codes) == ("warn", True)


@pytest.mark.parametrize("code", ["worker_lost", "worker_joined", "fewer_workers"])
def test_other_workers_void_a_step_whose_load_did_not_hold(folder: Path, code: str) -> None:
    change_step(folder, state="degraded", reasons="worker w1 was lost", reason_codes=code)
    pause(folder, seconds=6)
    step = judged(folder)
    assert step.in_flight.mean is not None
    assert step.in_flight.mean > 0.8 * CONCURRENCY, "on average it is not much"
    assert (step.trust.level, code in step.trust.codes) == ("void", True)


@pytest.mark.parametrize("code", ["worker_silent", "load_gap", "clock_set"])
def test_what_nobody_saw_is_void_whatever_the_rows_say(folder: Path, code: str) -> None:
    change_step(folder, state="degraded", reasons="it happened", reason_codes=f"proxy;{code}")
    step = judged(folder)
    assert (step.trust.level, code in step.trust.codes) == ("void", True)


def test_other_codes_decide_nothing(folder: Path) -> None:
    change_step(folder, reasons="latency includes the proxy p:1", reason_codes="proxy")
    assert judged(folder).trust.level == "pass"


@pytest.mark.parametrize(("share", "level"), [(1.01, "warn"), (1.2, "void"), (0.9, "void"), (8.0, "void")])
def test_counts_that_disagree_grossly_are_void(folder: Path, share: float, level: str) -> None:
    rows = len(pd.read_csv(folder / "requests.csv"))
    change_step(folder, locust_requests=int(rows * share))
    step = judged(folder)
    assert (step.trust.level, step.trust.codes) == (level, ["locust_count_differs"])


def test_a_window_that_nobody_closed_ends_as_planned_or_with_the_last_row(folder: Path) -> None:
    before = judged(folder).window
    assert before is not None
    change_step(folder, state="running", measure_ended_at=None, measure_planned_end_at=before.end)
    step = judged(folder)
    assert (step.window, step.trust.level) == (before, "void")
    assert step.throughput.per_minute is not None
    change_step(folder, measure_planned_end_at=before.end + 1000)
    late = judged(folder).window
    rows = pd.read_csv(folder / "requests.csv")
    assert late is not None
    assert late.end == pytest.approx((rows["started_at"] + rows["elapsed_ms"] / 1000).max(), abs=0.01)


def test_the_fewest_in_flight_are_found_where_the_mean_hides_them() -> None:
    whole = {"started_at": 0.0, "elapsed_ms": 100_000.0, "e2e_ms": 100_000.0}
    halves = [{"started_at": at, "elapsed_ms": 45_000.0, "e2e_ms": 45_000.0} for at in (0.0, 50.0)]
    rows = records(whole, *halves)
    assert in_flight.mean_in_flight(rows, Window(0, 100)) == pytest.approx(1.9)
    assert in_flight.least_in_flight(rows, Window(0, 100)) == pytest.approx(1.0)
