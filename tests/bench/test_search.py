"""A search through the whole line, with a real load: it chooses its steps, confirms its answer and ends."""

import pytest

from tests.bench.harness import SIMULATED, Bench, locust_counts, requests_of

pytestmark = pytest.mark.e2e


def test_a_search_plays_its_own_steps_and_confirms_the_answer(bench: Bench) -> None:
    plan = SIMULATED | {
        "load": {
            "search": {"over": "concurrency", "from": 2, "to": 4},
            "warm_up": "200ms",
            "measure": "1s",
        },
        "slo": {"e2e_p95": "10s"},
    }
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    steps = bench.summary()["experiments"][0]["steps"]
    assert [step["concurrency"] for step in steps] == [2, 4, None]
    rows = requests_of(bench.latest())
    assert locust_counts(bench.latest()) == rows.groupby("step").size().to_dict()
    arrivals = rows[rows["step"] == steps[-1]["id"]]
    assert arrivals["arrival"].notna().all(), "the confirmation"
    assert "search: met at 4" in done.stderr
    assert "the highest level meets the SLO after" in done.stderr
    assert bench.left_open() == []
