"""The parts of a mix: figures of each beside the whole, and limits of their own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.decide.recommendation import choose
from analysis.decide.repetitions import pool
from analysis.measure.results import RunResult
from analysis.render.mix_tables import part_table
from analysis.report import measure_and_judge
from runfolder.layout import REQUESTS
from runfolder.manifest import read_manifest
from tests.analysis.runs import summary_of
from tests.support.synthetic_run import Deployed, write_run


def mixed(folder: Path, limits: dict[str, float], concurrency: tuple[int, ...] = (4,)) -> RunResult:
    """A run of a mix of three short requests to one that takes four times as long.

    Args:
        folder: for the run.
        limits: of the p50 of each part's E2E latency, in ms.
        concurrency: of its steps.
    """
    write_run(folder, (Deployed(concurrency=concurrency, measure_s=240),))
    rows = pd.read_csv(folder / REQUESTS)
    rows["part"] = ["long" if number % 4 == 0 else "short" for number in range(len(rows))]
    short = rows["part"] == "short"
    rows.loc[short, ["ttft_ms", "e2e_ms", "elapsed_ms"]] /= 4
    rows.to_csv(folder / REQUESTS, index=False)
    manifest = read_manifest(folder)
    manifest.plan["workload"] = {
        "mix": [
            {
                "payload": {"file": f"{part}.jsonl"},
                "slo": {"objectives": [{"metric": "e2e", "statistic": "p50", "limit_ms": limits[part]}]}
                if part in limits
                else None,
            }
            for part in ("short", "long")
        ]
    }
    manifest.save(folder)
    return measure_and_judge(folder)


def test_the_parts_add_up_to_the_whole(tmp_path: Path) -> None:
    result = mixed(tmp_path, {})
    (step,) = result.steps
    long, short = step.parts
    assert (long.part, short.part) == ("long", "short")
    assert long.counts.ok + short.counts.ok == step.window_counts.ok
    assert short.counts.ok == pytest.approx(3 * long.counts.ok, abs=3)
    both = (long.per_minute or 0.0) + (short.per_minute or 0.0)
    assert both == pytest.approx(step.throughput.per_minute)
    hourly = 60 * sum((p.per_minute or 0.0) * (p.usd_per_request or 0.0) for p in step.parts)
    assert hourly == pytest.approx(1.4084), "the parts pay the whole bill"
    assert (long.usd_per_request or 0.0) == pytest.approx(4 * (short.usd_per_request or 0.0), rel=0.1)
    assert long.latency["e2e"].percentiles[50] > 3 * short.latency["e2e"].percentiles[50]
    table = part_table(result, result.experiments[0])
    assert [row[1] for row in table.rows] == ["long", "short"]
    written: Any = summary_of(result)["experiments"][0]["steps"][0]["parts"]
    assert [part["ok"] for part in written] == [long.counts.ok, short.counts.ok]


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"short": 1e6, "long": 1e6}, "met"),
        ({"short": 1.0, "long": 1e6}, "missed"),
        ({"short": 1e6, "long": 1.0}, "missed"),
    ],
    ids=["both", "the short part misses", "the long part misses"],
)
def test_a_limit_of_a_part_judges_its_requests_alone(
    tmp_path: Path, limits: dict[str, float], status: str
) -> None:
    result = mixed(tmp_path, limits)
    (candidate,) = choose(result)[0].candidates
    assert candidate.slo_status == status
    assert [check.label for check in candidate.checks] == [
        f"E2E p50 of {part} ≤ {limit / 1000:g} s" if limit > 1 else f"E2E p50 of {part} ≤ 1 ms"
        for part, limit in limits.items()
    ]
    (step,) = result.steps
    for check in candidate.checks:
        own = step.latency_of(check.objective)
        assert own is not None
        assert check.samples == own.n < step.window_counts.ok
    missing = {part for part, limit in limits.items() if limit == 1.0}
    good = sum(part.counts.ok for part in step.parts if part.part not in missing)
    assert step.goodput.share == pytest.approx(good / step.window_counts.total)


def test_repetitions_of_a_mix_keep_their_parts(tmp_path: Path) -> None:
    result = mixed(tmp_path, {"long": 1e6}, concurrency=(4, 4))
    pooled = pool([(step, result.rows) for step in result.steps])
    for name, part in enumerate(pooled.parts):
        own = [step.parts[name] for step in result.steps]
        assert part.counts.ok == sum(each.counts.ok for each in own)
        assert part.latency["e2e"].n == sum(each.latency["e2e"].n for each in own)
    assert choose(result)[0].candidates[0].checks[0].status == "met"


def test_a_run_without_a_mix_has_no_parts(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(concurrency=(1,), measure_s=60),))
    result = measure_and_judge(tmp_path)
    assert replace(result.steps[0]).parts == ()
    assert not part_table(result, result.experiments[0]).rows
