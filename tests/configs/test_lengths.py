"""The lengths of a plan: their notation, what they draw, and what is refused."""

from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.lengths import Length, Lengths, parse_lengths
from configs.payload_spec import PayloadSpec

_WHOLE = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("text", "lengths", "label"),
    [
        ("D(1000)/(100)", Lengths(Length("D", 1000), Length("D", 100)), "D1000_100"),
        ("d(1000,100)", Lengths(Length("D", 1000), Length("D", 100)), "D1000_100"),
        (
            " N(480, 240) / (300,150)",
            Lengths(Length("N", 480, 240), Length("N", 300, 150)),
            "N480_240_300_150",
        ),
        ("U(50,100)/(20,40)", Lengths(Length("U", 50, 100), Length("U", 20, 40)), "U50_100_20_40"),
        ("D(700)", Lengths(Length("D", 700), None), "D700"),
    ],
)
def test_the_notation_of_load_tests_is_read(text: str, lengths: Lengths, label: str) -> None:
    assert parse_lengths(text) == lengths
    assert lengths.label == label


@pytest.mark.parametrize(
    "text",
    [
        "D()",
        "D(10)/(0)",
        "D(1.5)",
        "D(1,2)/(3)",
        "N(5)/(5)",
        "U(9,3)/(1,2)",
        "X(1)/(2)",
        "(5)",
        "D(1",
        "D(-1)",
    ],
)
def test_other_notation_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValidationError, match=r"lengths\n  Value error, write "):
        PayloadSpec.model_validate({"lengths": text})


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        ("D(1000)/(100)", r"write \{lengths: D\(1000\)/\(100\)\}"),
        ({}, "set either file or lengths"),
        ({"file": "a", "lengths": "D(5)"}, "set either file or lengths"),
        ({"file": "a", "count": 3}, "count belongs to lengths"),
        ({"lengths": "D(5)", "template": "{a}"}, "template belongs to file"),
        ({"lengths": "D(5)", "prefix": {"groups": 2}}, "set either tokens or share"),
        (7, "write a label, a file, or"),
    ],
)
def test_a_payload_that_means_nothing_is_refused(content: Any, finding: str) -> None:
    with pytest.raises(ValidationError, match=finding):
        PayloadSpec.model_validate(content)


def test_a_plain_file_is_written_back_as_the_plan_has_it() -> None:
    spec = PayloadSpec.model_validate("en_50-100")
    assert spec.model_dump() == "en_50-100"
    assert PayloadSpec.model_validate(PayloadSpec(lengths="D(5)").model_dump()).lengths == "D(5)"


@settings(max_examples=15)
@given(mean=st.integers(400, 4000), deviation=st.integers(0, 100))
def test_normal_lengths_have_their_mean_and_deviation(mean: int, deviation: int) -> None:
    drawn = [pair.prompt for pair in parse_lengths(f"N({mean},{deviation})/(9,9)").draw(1500, "s")]
    assert fmean(drawn) == pytest.approx(mean, abs=0.15 * deviation + 0.5)
    assert stdev(drawn) == pytest.approx(deviation, rel=0.15, abs=0.5)


@settings(max_examples=25)
@given(low=_WHOLE, more=_WHOLE, seed=st.text(max_size=3))
def test_uniform_lengths_stay_within_their_bounds(low: int, more: int, seed: str) -> None:
    lengths = parse_lengths(f"U({low},{low + more})/(1,{more})")
    drawn = lengths.draw(50, seed)
    assert all(low <= pair.prompt <= low + more and 1 <= (pair.output or 0) <= more for pair in drawn)
    assert drawn == lengths.draw(50, seed), "same seed, same lengths"


def test_no_length_is_below_one_token() -> None:
    drawn = parse_lengths("N(2,50)/(1,3)").draw(500, "s")
    assert min(pair.prompt for pair in drawn) >= 1
    assert min(pair.output or 0 for pair in drawn) >= 1
