"""Metric truth through the whole pipeline: two contrasting schedules, the server's own log as the judge."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.calibration.probe import truth_server
from bench.calibration.truth import AnswerSchedule
from tests.locustfiles.runs import Run, experiment

pytestmark = pytest.mark.e2e

PATIENT = AnswerSchedule(ttft=0.25, gap=0.012, tokens=10)
BRISK = AnswerSchedule(ttft=0.04, gap=0.03, tokens=24)
USERS = 4

# Rows with the server's own record beside them, the server's whole log, and the step.
Truth = tuple[pd.DataFrame, pd.DataFrame, "pd.Series[Any]"]

# Contended machines wake a process late; a metric that is scaled or swapped is off by far more.
TOLERANCE_MS = 15.0


class WrongMetric(AssertionError):  # noqa: N818 - reads as what it says
    pass


def played(folder: Path, profile: AnswerSchedule) -> Truth:
    """Rows with the server's own record beside them, the server's whole log, and the step."""
    folder.mkdir()
    with truth_server(folder, profile, None) as (url, log):
        run = Run(
            folder, url, experiment(folder, concurrency=(USERS,), load={"warm_up": 0.6, "measure": 2.5})
        )
        assert run.play() == 0, run.log()
        run.check_counts()
    rows, served = pd.read_csv(folder / "requests.csv"), pd.read_csv(log)
    rows["number"] = rows["finish_reason"].str[1:].astype(int)
    step = pd.read_csv(folder / "steps.csv").iloc[0]
    both = rows.merge(served, on="number", how="left", validate="one_to_one", suffixes=("", "_served"))
    return both, served, step


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Truth]]:
    folder = tmp_path_factory.mktemp("truth")
    yield {  # noqa: PT022 - the folder outlives the fixture
        "patient": played(folder / "patient", PATIENT),
        "brisk": played(folder / "brisk", BRISK),
    }


PROFILES = {"patient": PATIENT, "brisk": BRISK}


def check_truth(rows: pd.DataFrame, profile: AnswerSchedule) -> None:
    """Raise where the rows do not say what the server did.

    Raises:
        WrongMetric: which metric, and by how much.
    """
    if not (rows["completion_tokens"] == rows["tokens"]).all() or (rows["tokens"] != profile.tokens).any():
        raise WrongMetric("completion tokens")
    truth = {
        "ttft_ms": (rows["first_sent_at"] - rows["arrived_at"]) * 1000,
        "e2e_ms": (rows["last_sent_at"] - rows["arrived_at"]) * 1000,
    }
    for metric, values in truth.items():
        error = (rows[metric] - values).abs().median()
        if not error < TOLERANCE_MS:
            raise WrongMetric(f"{metric}: off by {error:.1f} ms")
    tpot = (rows["last_sent_at"] - rows["first_sent_at"]) * 1000 / (rows["tokens"] - 1)
    if not (rows["tpot_ms"] - tpot).abs().median() < 1.0:
        raise WrongMetric("tpot_ms")


def test_a_row_and_what_the_server_captured_join_on_the_inference_id(runs: dict[str, Truth]) -> None:
    rows, served, _ = runs["brisk"]
    assert served["inference_id"].is_unique
    assert rows["inference_id"].tolist() == rows["inference_id_served"].tolist()


@pytest.mark.parametrize("name", PROFILES)
def test_every_metric_is_what_the_server_did(name: str, runs: dict[str, Truth]) -> None:
    rows, served, _ = runs[name]
    assert len(rows) == len(served)
    assert rows["arrived_at"].notna().all()
    check_truth(rows, PROFILES[name])


@pytest.mark.parametrize("name", PROFILES)
def test_littles_law_holds_within_its_error(name: str, runs: dict[str, Truth]) -> None:
    rows, _, step = runs[name]
    start, end = step["measure_started_at"], step["measure_ended_at"]
    ended = rows["started_at"] + rows["e2e_ms"] / 1000
    completions = int(ended.between(start, end).sum())
    mean_s = rows.loc[rows["started_at"].between(start, end), "e2e_ms"].mean() / 1000
    most = USERS * (end - start) / mean_s + USERS  # one request per user at the window's edge
    assert completions <= most
    assert completions >= 0.7 * USERS * (end - start) / mean_s - USERS


@pytest.mark.parametrize("name", PROFILES)
def test_gaps_are_all_there_and_sum_to_what_they_span(
    name: str, runs: dict[str, Truth], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows, _, step = runs[name]
    folder = next(tmp_path_factory.getbasetemp().glob(f"truth*/{name}"))
    gaps = pd.read_csv(folder / "gaps.csv")
    measured = rows[
        (rows["started_at"] >= step["measure_started_at"]) & (rows["started_at"] < step["measure_ended_at"])
    ]
    assert gaps["count"].sum() == (measured["chunks"] - 1).sum()
    spanned = (measured["e2e_ms"] - measured["ttft_ms"]).sum()
    middle = (gaps["low_ms"] + gaps["high_ms"]) / 2
    assert (middle * gaps["count"]).sum() == pytest.approx(spanned, rel=0.01)


@pytest.mark.parametrize(
    ("metric", "change"),
    [
        ("ttft_ms", lambda rows: rows["ttft_ms"] * 1.5),
        ("ttft_ms", lambda rows: rows["e2e_ms"]),
        ("e2e_ms", lambda rows: rows["e2e_ms"] - rows["ttft_ms"]),
        ("tpot_ms", lambda rows: rows["e2e_ms"] / rows["completion_tokens"]),
        ("completion_tokens", lambda rows: rows["completion_tokens"] + 1),
    ],
)
def test_the_checks_can_fail(metric: str, change: object, runs: dict[str, Truth]) -> None:
    caught = 0
    for name, profile in PROFILES.items():
        rows = runs[name][0].copy()
        rows[metric] = change(rows)  # type: ignore[operator]
        try:
            check_truth(rows, profile)
        except WrongMetric:
            caught += 1
    assert caught, f"a wrong {metric} passed under both schedules"
