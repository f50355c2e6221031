"""A weighted mix of payloads in a plan."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.mix import LONGEST_DECK, deck_counts
from configs.plan import Plan

PARTS = [
    {"payload": "en_50-100", "weight": 3, "slo": {"ttft_p95": "1s"}},
    {"payload": {"lengths": "D(1000)/(100)", "name": "long"}, "slo": {"e2e_mean": 20}},
]


def plan(mix: Any = PARTS, *, load: Any = None, **workload: Any) -> Plan:
    return Plan.model_validate(
        {
            "name": "p",
            "model": {"name": "m", "source": "local"},
            "workload": {"mix": mix} | workload,
            "load": load or {"concurrency": [1]},
            "slo": {"e2e_p95": "30s"},
        }
    )


def test_a_mix_is_one_experiment_with_the_limits_of_its_parts() -> None:
    found = plan()
    assert found.workload.labels == ("mix",)
    assert [spec.label for spec in found.workload.specs] == ["en_50-100", "long"]
    assert found.workload.deck == {"en_50-100": 3, "long": 1}
    assert [o.label for o in found.objectives] == [
        "E2E p95 ≤ 30 s", "TTFT p95 of en_50-100 ≤ 1 s", "E2E mean of long ≤ 20 s",
    ]  # fmt: skip
    assert Plan.model_validate(found.model_dump(mode="json", by_alias=True)) == found


@pytest.mark.parametrize(
    ("weights", "counts"),
    [([3, 1], [3, 1]), ([0.7, 0.3], [7, 3]), ([2, 1, 1], [2, 1, 1]), ([999, 0.01], [1000, 1])],
)  # fmt: skip
def test_weights_become_the_smallest_whole_numbers(weights: list[float], counts: list[int]) -> None:
    assert deck_counts(weights) == counts


@given(st.lists(st.floats(0.001, 1000), min_size=2, max_size=6))
def test_a_deck_is_short_has_every_part_and_keeps_to_the_weights(weights: list[float]) -> None:
    counts = deck_counts(weights)
    assert min(counts) >= 1
    assert sum(counts) <= LONGEST_DECK + len(counts)
    assert math.gcd(*counts) == 1
    for weight, count in zip(weights, counts, strict=True):
        assert abs(count / sum(counts) - weight / sum(weights)) < 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"payload": "en_50-100"}, "set either payload or mix"),
        ({"mix": PARTS[:1]}, "at least 2 items"),
        ({"mix": [*PARTS, PARTS[0]]}, "en_50-100 is named twice: give one of the payloads another name"),
        ({"conversation": {"turns": 2}}, "the turns of a conversation must follow each other"),
        ({"load": {"trace": {"file": "t.csv"}}}, "a trace itself says what each arrival asks for"),
        ({"mix": [PARTS[0], {"payload": "x", "slo": {"error_rate": 0.1}}]}, "set slo.error_rate"),
        ({"mix": [PARTS[0], {"payload": "x", "slo": {"e2e_p95": 9000}}]}, "longer than load.timeouts.total"),
        ({"mix": [PARTS[0], {"payload": "x", "weight": 0}]}, "greater than 0"),
    ],
)  # fmt: skip
def test_a_mix_that_makes_no_sense_is_refused_with_the_reason(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        plan(**change)
