"""A search through the whole line, with a real load: it chooses its steps, confirms its answer and ends."""

import pytest

from tests.bench.harness import SIMULATED, Bench, locust_counts, requests_of

pytestmark = pytest.mark.e2e


def test_a_search_plays_its_own_steps_and_confirms_the_answer(bench: Bench) -> None:
    """The cheapest type is first, and the one that costs fifty times as much is left after a probe."""
    plan = SIMULATED | {
        "endpoint": {"instance_type": ["ml.g6.xlarge", "ml.g5.xlarge"], "region": "us-east-1"},
        "price": {"usd_per_hour": {"ml.g5.xlarge": 1.0, "ml.g6.xlarge": 50.0}},
        "load": {
            "search": {"over": "concurrency", "from": 2, "to": 4},
            "warm_up": "200ms",
            "measure": "1s",
        },
        "slo": {"e2e_p95": "10s"},
    }
    done = bench.run("run", "--plan", bench.plan(plan), "--results", bench.results)
    assert done.returncode == 0, done.stderr
    first, second = bench.summary()["experiments"]
    assert (first["instance_type"], second["instance_type"]) == ("ml.g5.xlarge", "ml.g6.xlarge")
    assert (first["search"]["end"], second["search"]["end"]) == ("all_met", "beaten")
    assert second["search"]["rival"]["experiment"] == first["name"]
    assert len(second["steps"]) == 1
    assert "The search on this machine (as ml.g6.xlarge) ended early, after " in " ".join(done.stdout.split())
    steps = first["steps"]
    assert [step["concurrency"] for step in steps] == [2, 4, None]
    rows = requests_of(bench.latest())
    own = rows[rows["step"].isin([step["id"] for step in steps])]
    assert locust_counts(bench.latest(), "locust_1") == own.groupby("step").size().to_dict()
    arrivals = rows[rows["step"] == steps[-1]["id"]]
    assert arrivals["arrival"].notna().all(), "the confirmation"
    assert "search: met at 4" in done.stderr
    assert "the highest level meets the SLO after" in done.stderr
    assert bench.left_open() == []
