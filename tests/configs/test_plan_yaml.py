"""A plan's YAML: values as written, every key once, and an end to everything."""

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.plan_yaml import PlanYamlError, read_plan_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "a is given twice, in lines 1 and 3; keep one of them"),
        ("load:\n timeouts:\n  total: 1s\n  total: 2s", "load.timeouts.total is given twice, in lines 3"),
        ("a: {b: 1, b: 2}", "a.b is given twice, in line 1"),
        ('a: 1\n"a": 2', "a is given twice"),
        ("[" * 5000, "line 1: a plan is nested at most 50 levels deep"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested at most 50 levels deep"),
        ("? " * 5000 + "a", "nested at most 50 levels deep"),
        (BOMB, "at most 10,000 values, with aliases expanded"),
        ("a: &a [*a]", "*a refers to no finished value above it"),
        ("a: *b", "*b refers to no finished value above it"),
        ("a:\n\tb: 1", "found character '\\t' that cannot start any token; indent with spaces, not tabs"),
        ("a: \x00", "line 1 holds the control character 0x00"),
        ("a: [1", "line 1 is not YAML"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("? [a]\n: 1", "unhashable key"),
        ("a: " + "9" * 5000, "thousands of digits"),
    ],
)  # fmt: skip
def test_what_a_plan_may_not_be(text: str, problem: str) -> None:
    with pytest.raises(PlanYamlError) as caught:
        read_plan_yaml(text)
    assert problem in str(caught.value)


def test_values_are_those_of_yaml_1_2() -> None:
    text = "{a: no, b: 010, c: 1:30, d: 1e3, e: .5, f: true, g: ~, h: 0x10, i: -4, j: 1_000, k: .inf, l: 0}"
    assert read_plan_yaml(text) == {
        "a": "no", "b": "010", "c": "1:30", "d": 1000.0, "e": 0.5, "f": True, "g": None, "h": "0x10", "i": -4,
        "j": "1_000", "k": float("inf"), "l": 0,
    }  # fmt: skip


def test_anchors_and_merged_keys_are_read() -> None:
    assert read_plan_yaml("a: &a {k: 1}\nb: {<<: *a, k: 2}\nc: *a") == {
        "a": {"k": 1},
        "b": {"k": 2},
        "c": {"k": 1},
    }


plain_texts = st.text(st.characters(categories=("L", "P", "S", "Z")), max_size=10)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | plain_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain_texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_yaml_writes_is_read_back(value: object) -> None:
    assert read_plan_yaml(yaml.safe_dump(value, allow_unicode=True)) == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    with contextlib.suppress(PlanYamlError):
        read_plan_yaml(text)
