"""Warm-ups and measurements that end by their figures, as a plan writes them."""

from pathlib import Path
from typing import Any

import pytest

from bench.backend import _short
from common.errors import UserError
from configs.dwell import MeasureUntil, WarmUpUntil, statistic_name
from configs.plan import Plan
from configs.reading import read_plan

PLAN = Path(__file__).parents[2] / "configs" / "local.yml"
UNTIL = {"until": "5%", "of": "e2e_p95", "at_most": "10m"}


def plan(**load: Any) -> Plan:
    return read_plan(PLAN, {"load": {"concurrency": [1]} | load})


def test_a_mapping_ends_by_its_figures_and_a_duration_does_not() -> None:
    load = plan(measure=UNTIL, warm_up={"until": "steady"}).load
    assert load.measure_until == MeasureUntil(until=0.05, of="e2e_p95", at_most=600)
    assert load.warm_up_until == WarmUpUntil(until="steady", at_most=120)
    assert (load.least_warm_up_s, load.warm_up_s) == (5, 120)
    assert (load.least_measure_s, load.measure_s) == (90, 600)
    fixed = plan(measure="2m").load
    assert (fixed.measure_until, fixed.least_measure_s, fixed.measure_s) == (None, 120, 120)
    assert plan(measure=UNTIL | {"at_most": "30s"}).load.least_measure_s == 30


def test_it_survives_the_manifest() -> None:
    made = plan(measure=UNTIL | {"at_least": "mlperf"}, warm_up={"until": "steady"})
    again = Plan.model_validate(made.model_dump(mode="json", by_alias=True))
    assert again.load == made.load
    assert again.load.least_measure_s == 600
    short = plan(measure=UNTIL | {"at_most": 30}, warm_up={"until": "steady", "at_most": 2})
    again = Plan.model_validate(short.model_dump(mode="json", by_alias=True))
    assert (again.load.least_measure_s, again.load.least_warm_up_s) == (30, 2)


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ({"measure": UNTIL | {"of": "e2e_p59"}}, r"load\.measure\.of: must be 'throughput'"),
        ({"measure": UNTIL | {"until": 5}}, r"load\.measure\.until: must be at most 0\.5"),
        ({"measure": {"untl": "5%", "of": "e2e_p95", "at_most": 60}}, "did you mean until"),
        ({"measure": UNTIL | {"at_least": "11m"}}, r"at_least \(660 s\) is longer than at_most \(600 s\)"),
        ({"measure": UNTIL | {"at_least": "mlperf", "at_most": "5m"}}, "at_most: MLPerf asks for 10 min"),
        ({"measure": {"until": "5%", "of": "e2e_p95"}}, r"load\.measure\.at_most is missing"),
        ({"measure": "5x"}, r"load\.measure: write a duration such as"),
        ({"measure": UNTIL, "min_requests": 9}, "min_requests belongs to a measure of a fixed length"),
        (
            {"concurrency": None, "trace": {"file": "t.csv"}, "warm_up": {"until": "steady"}},
            "a trace or a shape needs a fixed warm_up",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key(load: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(**load)


def test_a_search_measures_as_long_as_it_needs_but_may_warm_up_by_its_figures() -> None:
    search = {"concurrency": None, "search": {"over": "concurrency", "from": 1, "to": 8}}
    slo = {"e2e_p95": "5s"}
    with pytest.raises(UserError, match="a search decides by itself how long it measures"):
        read_plan(PLAN, {"load": search | {"measure": UNTIL}, "slo": slo})
    made = read_plan(PLAN, {"load": search | {"warm_up": {"until": "steady"}}, "slo": slo})
    assert made.load.warm_up_until is not None


def test_a_rehearsal_shortens_the_bounds() -> None:
    load = _short(plan(measure=UNTIL | {"at_least": "mlperf"}, warm_up={"until": "steady"})).load
    assert load.measure_until is not None
    assert load.warm_up_until is not None
    assert (load.least_measure_s, load.measure_s) == (0, 20)
    assert load.warm_up_s == 5
    assert load.min_requests is None


def test_a_statistic_has_its_name() -> None:
    assert [statistic_name(key) for key in ("throughput", "ttft_p50")] == ["requests/min", "TTFT p50"]
