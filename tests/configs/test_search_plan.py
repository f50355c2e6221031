"""The section `load.search` of a plan: what it accepts and refuses, and what the estimate makes of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from common.errors import UserError
from configs.plan import Plan
from configs.reading import read_plan
from deploy.preflight.estimate import estimate, search_levels
from runfolder.manifest import PriceQuote

SEARCH: dict[str, Any] = {"over": "concurrency", "from": 1, "to": 256}


def plan(search: dict[str, Any] = SEARCH, slo: dict[str, Any] | None = None, **load: Any) -> Plan:
    return Plan.model_validate({
        "name": "p",
        "model": {"name": "m", "source": "local"},
        "workload": {"payload": "en_50-100", "max_tokens": 100},
        "load": {"search": search, **load},
        "slo": {"ttft_p95": "1s"} if slo is None else slo,
    })  # fmt: skip


def refusal(*arguments: Any, **load: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        plan(*arguments, **load)
    return str(raised.value)


def test_a_search_has_a_resolution_a_time_limit_and_a_confirmation() -> None:
    load = plan(SEARCH | {"resolution": "10%", "at_most": "20m"}).load
    assert load.search is not None
    assert (load.search.low, load.search.high) == (1, 256)
    assert load.search.resolution == pytest.approx(0.10)
    assert load.search.at_most == 1200
    assert load.confirm
    assert load.open_loop, "the confirmation"
    assert load.most_in_flight == 1000


def test_without_confirmation_a_search_over_users_is_a_closed_loop() -> None:
    load = plan(confirm=False).load
    assert not load.open_loop
    assert load.most_in_flight == 256


def test_a_plan_goes_through_json_unchanged() -> None:
    written = plan().model_dump_json(by_alias=True)
    assert Plan.model_validate_json(written) == plan()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"concurrency": [1, 2]}, "a shape, or a search"),
        ({"rate": [1.0]}, "a shape, or a search"),
        ({"min_requests": 100}, "min_requests belongs to concurrency and rate"),
        ({"search": SEARCH | {"to": 1}}, "must be higher than from"),
        ({"search": SEARCH | {"from": 1.5}}, "whole numbers of users"),
        ({"search": SEARCH | {"resolution": "five"}}, "write a share such as 5% or 0.05"),
        ({"search": SEARCH | {"over": "speed"}}, "'concurrency' or 'rate'"),
        ({"search": {"over": "rate", "from": 1, "to": 50_000}}, "at most 10,000 requests per second"),
        ({"slo": {}}, "the plan has no latency objective"),
        ({"slo": {"error_rate": 0.01}}, "the plan has no latency objective"),
    ],
)
def test_a_search_that_cannot_be_is_refused(changes: dict[str, Any], says: str) -> None:
    search, slo = changes.pop("search", SEARCH), changes.pop("slo", None)
    assert says in refusal(search, slo, **changes)


def test_confirm_belongs_to_a_search() -> None:
    with pytest.raises(ValidationError, match="confirm belongs to search"):
        Plan.model_validate({
            "name": "p",
            "model": {"name": "m", "source": "local"},
            "workload": {"payload": "p"},
            "load": {"concurrency": [1], "confirm": False},
        })  # fmt: skip


def test_a_rate_that_cannot_be_carried_is_refused_by_its_key() -> None:
    search = {"over": "rate", "from": 1, "to": 500}
    assert "load.search.to: 500 requests/s with an E2E of 10 s" in refusal(search, {"e2e_p95": "10s"})


def test_the_longest_search_doubles_and_then_bisects() -> None:
    search = plan().load.search
    assert search is not None
    assert search_levels(search) == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[256] * 4]


def test_a_search_is_estimated_within_its_time_limit() -> None:
    quotes = {"ml.g5.xlarge": PriceQuote(usd_per_hour=1.0)}
    short = estimate(plan(SEARCH | {"at_most": "10m"}), quotes)
    long = estimate(plan(SEARCH | {"at_most": "3h"}), quotes)
    assert short.longest_s - short.boot_s == pytest.approx(600 + 60)
    assert short.shortest_s < short.longest_s < long.longest_s
    assert long.steps == 13 + 4
    assert short.longest_usd is not None
    assert short.longest_usd == pytest.approx(short.longest_s / 3600)


def listed(folder: Path, load: dict[str, Any], slo: dict[str, Any] | None = None) -> Path:
    path = folder / "listed.yml"
    content = {
        "name": "p",
        "model": {"name": "m", "source": "local"},
        "workload": {"payload": "en_50-100"},
        "load": load,
        "slo": {"ttft_p95": "1s"} if slo is None else slo,
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("load", "over", "low", "high"),
    [
        ({"concurrency": [4, 1, 16], "min_requests": 50}, "concurrency", 1, 16),
        ({"rate": [0.5, 2], "arrivals": "constant"}, "rate", 0.5, 2),
        ({"concurrency": [1, 8], "measure": {"until": "5%", "of": "e2e_p95", "at_most": "90s"}},
         "concurrency", 1, 8),
    ],
)  # fmt: skip
def test_a_plans_levels_become_the_range_of_a_search(
    tmp_path: Path, load: dict[str, Any], over: str, low: float, high: float
) -> None:
    path = listed(tmp_path, load | {"warm_up": "7s"})
    own = read_plan(path)
    searched = read_plan(path, search=True)
    assert searched.load.search is not None
    assert (searched.load.search.over, searched.load.search.low, searched.load.search.high) == (
        over,
        low,
        high,
    )
    assert searched.load.concurrency is searched.load.rate is searched.load.min_requests is None
    assert searched.load.measure == own.load.measure_s
    assert searched.load.warm_up == 7
    assert searched.load.arrivals == own.load.arrivals
    assert searched.model_copy(update={"load": own.load}) == own, "nothing else changes"


def test_a_search_of_the_plan_is_kept(tmp_path: Path) -> None:
    path = listed(tmp_path, {"search": SEARCH})
    assert read_plan(path, search=True) == read_plan(path)


@pytest.mark.parametrize(
    ("load", "slo", "expected"),
    [
        (
            {"concurrency": [4, 4]},
            None,
            "load.concurrency has one level, and a search needs a range; list its",
        ),
        ({"shape": [{"rate": 1, "for": "10s"}]}, None, "load has no levels that could be searched; list"),
        ({"concurrency": [1, 4]}, {}, "the plan has no latency objective; set one"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    tmp_path: Path, load: dict[str, Any], slo: dict[str, Any] | None, expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        read_plan(listed(tmp_path, load, slo), search=True)
