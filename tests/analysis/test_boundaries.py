"""Where a formula turns: exactly at a limit, a window's end, a count of samples."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.decide.slo import check_slo
from analysis.metrics.definitions import Window, completion_tokens_in, gap_percentile_ms
from analysis.metrics.in_flight import most_per_minute
from analysis.report import measure_and_judge
from configs.slo import Objective
from tests.analysis.records import records, streamed
from tests.support.synthetic_run import Deployed, write_run

WINDOW = Window(100.0, 200.0)


def test_the_most_that_a_closed_loop_can_complete() -> None:
    assert most_per_minute(4, 2000.0) == pytest.approx(120.0), "4 users, 2 s each"


def test_tokens_of_one_chunk_belong_to_the_window_in_which_it_came() -> None:
    at_once = [streamed(start, 1000.0, 1000.0, 5, first=2) for start in (99.0, 150.0, 199.0)]
    assert completion_tokens_in(records(*at_once), WINDOW) == 10, "the start is inside, the end is not"


def test_the_median_of_two_gaps_is_the_lower_bucket() -> None:
    gaps = pd.DataFrame({"low_ms": [10.0, 20.0], "high_ms": [10.0, 20.0], "count": [1.0, 1.0]})
    assert gap_percentile_ms(gaps, 50) == pytest.approx(10.0)
    assert gap_percentile_ms(gaps, 51) == pytest.approx(20.0)


def test_a_mean_that_is_the_second_limit_is_judged_by_its_own_blocks(tmp_path: Path) -> None:
    ttft = Objective(metric="ttft", statistic="p95", limit_ms=1.0)
    e2e = Objective(metric="e2e", statistic="mean", limit_ms=1.0)
    slo = {"objectives": [ttft.model_dump(), e2e.model_dump()]}
    write_run(tmp_path, (Deployed(measure_s=120, concurrency=(4,)),), slo=slo)
    (step,) = measure_and_judge(tmp_path).steps
    mean = step.latency["e2e"].mean
    for factor, status, sure in ((0.5, "missed", True), (1.0001, "met", False), (2.0, "met", True)):
        _, found = check_slo(step, [ttft, e2e.model_copy(update={"limit_ms": mean * factor})])
        assert (found.status, found.sure) == (status, sure)
        assert found.value_ms == pytest.approx(mean)
    assert np.isfinite(mean)
