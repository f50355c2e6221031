"""Searches of several instance types: one that cannot have the best price ends early, and never the best."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.decide.recommendation import choose
from analysis.decide.search.course import Course, search_of
from analysis.decide.search.method import End, Measure, bracket_of, next_move
from analysis.decide.search.probes import Probe, Rules
from analysis.decide.search.rival import confirmed_rate, rate_to_beat, rival_of
from analysis.render.recommendation_text import answer_notes
from analysis.report import measure_and_judge
from bench.benchmarks.search_types import draw_types, play
from runfolder.manifest import ExperimentEntry, PriceQuote, Rival, read_manifest
from tests.analysis.test_search import P95, probe
from tests.analysis.test_search_report import searched, slo
from tests.support.search_run import make_search
from tests.support.synthetic_run import Deployed, Server, write_run

RULES = Rules(low=1, high=256, resolution=0.05, least_s=20, most_s=120)


def endpoint(knee: int, per_user: float, rules: Rules) -> tuple[list[Probe], End]:
    """Search an endpoint without noise: each of its users does so many requests a second up to the knee."""
    probes: list[Probe] = []
    while not isinstance(move := next_move(rules, (P95,), probes), End):
        rate = per_user * min(move.level, knee)
        passes = 0.0 if move.level <= knee else 1.0
        probes.append(probe(move.level, passes, rate_at_most=rate))
        assert len(probes) < 60, "the search does not end"
    return probes, move


@settings(max_examples=40)
@given(
    latencies=st.lists(st.floats(0.01, 3.0), min_size=64, max_size=64),
    knee=st.integers(1, 64),
    probed=st.sets(st.integers(2, 64), max_size=10),
)
def test_no_level_within_the_slo_exceeds_the_bound(
    latencies: list[float], knee: int, probed: set[int]
) -> None:
    """It holds for every latency that does not fall with the load, even where throughput collapses."""
    rules = replace(RULES, high=64)
    seconds = sorted(latencies)
    rates = {level: level / seconds[level - 1] for level in range(1, 65)}
    probes = [
        probe(level, 0.0 if level <= knee else 1.0, rate_at_most=rates[level]) for level in {1, *probed}
    ]
    bound = bracket_of(rules, (P95,), probes).bound
    assert bound is not None
    assert bound.rate >= rates[knee] * (1 - 1e-12)


@settings(max_examples=40)
@given(knee=st.integers(2, 200), per_user=st.floats(0.1, 5), share=st.floats(0.2, 5))
def test_a_search_ends_early_only_where_it_loses(knee: int, per_user: float, share: float) -> None:
    """The rate to beat is a share of the true one; with and without it, the same side of it wins."""
    true_rate = knee * per_user
    probes, end = endpoint(knee, per_user, replace(RULES, must_beat=share * true_rate))
    whole, _ = endpoint(knee, per_user, RULES)
    if end.code == "beaten":
        assert share >= 1 - 1e-9
        assert len(probes) <= len(whole) + 1
    else:
        assert share < 1.06, "as close as the resolution"
        found = bracket_of(RULES, (P95,), probes).low
        assert found is not None
        assert found.level <= knee < max(found.level * 1.05, found.level + 1) + 1e-9


def test_a_hopeless_type_is_left_after_its_first_miss() -> None:
    probes, end = endpoint(20, 1.0, replace(RULES, must_beat=40.0))
    assert end == End("beaten")
    assert [p.level for p in probes] == [1, 2, 4, 8, 16, 32]
    probes, end = endpoint(20, 1.0, replace(RULES, must_beat=300.0))
    assert [p.level for p in probes] == [1], "not even the highest level could do that"


def test_the_level_that_decides_is_tried_first() -> None:
    """16 users are met and 32 missed: whether 29 are decides, because 28 users do too little."""
    rules = replace(RULES, must_beat=28.5)
    probes = [probe(16, 0.0, rate_at_most=16.0), probe(32, 1.0, rate_at_most=20.0)]
    assert next_move(rules, (P95,), probes) == Measure(29, 20)
    assert next_move(rules, (P95,), [*probes, probe(29, 1.0)]) == End("beaten")
    assert next_move(replace(rules, must_beat=18.0), (P95,), probes) == Measure(23, 20), "the middle"


def test_without_a_measured_rate_no_search_ends_early() -> None:
    rules = replace(RULES, must_beat=1e9)
    assert isinstance(next_move(rules, (P95,), [probe(1, 0.0)]), Measure)


def entry(name: str, usd: float | None, payload: str = "p") -> ExperimentEntry:
    price = PriceQuote(kind="plan", usd_per_hour=usd)
    return ExperimentEntry(
        name=name, model="m", instance_type=name, payload=payload, payload_file="p.jsonl", price=price
    )


def test_the_rival_is_the_best_confirmed_price_of_the_same_payload(tmp_path: Path) -> None:
    _, _, course = searched(tmp_path, 4, 8, 6, 5, 4, confirmations=1)
    course = replace(course, move=End("found"))
    assert course.bracket.low is not None
    rate = course.rates[course.bracket.low.level]
    assert confirmed_rate(course) == pytest.approx(rate)
    assert confirmed_rate(replace(course, confirmations=())) is None, "not confirmed yet"
    alone = replace(course, confirmations=(), rules=replace(course.rules, confirm=False))
    assert confirmed_rate(alone) == pytest.approx(rate), "none is asked for"
    finished = [
        (entry("dear", 9.0), course),
        (entry("cheap", 1.8), course),
        (entry("other", 0.1, "q"), course),
    ]
    rival = rival_of(entry("new", 3.6), finished)
    assert rival is not None
    assert rival.experiment == "cheap"
    assert rival.usd_per_request == pytest.approx(1.8 / 3600 / rate)
    assert rival.must_beat == pytest.approx(2 * rate / 1.05), "twice the price, within the resolution"
    assert rival_of(entry("new", None), finished) is None, "no price, no rival"
    assert rival_of(entry("new", 3.6), []) is None


def cut_short_by_a_rival(folder: Path) -> None:
    """A run of two types, of which the second costs ten times as much and ended after two probes."""
    fast = Server(tpot_ms=10, tpot_ms_per_user=1.0, noise=0.03, completion_tokens=(40, 60))
    types = (
        Deployed(usd_per_hour=1.0, server=fast, measure_s=60, concurrency=(4, 8)),
        Deployed("ml.p4d.24xlarge", usd_per_hour=10.0, server=fast, measure_s=60, concurrency=(4, 8)),
    )
    write_run(folder, types, slo=slo(1200.0))
    make_search(folder)
    manifest = read_manifest(folder)
    manifest.experiments[1].rival = Rival(
        experiment=manifest.experiments[0].name, usd_per_request=6e-5, spent_s=900.0, must_beat=40.0
    )
    manifest.save(folder)


def test_the_report_says_why_a_search_ended_early_and_what_that_saved(tmp_path: Path) -> None:
    cut_short_by_a_rival(tmp_path)
    result = measure_and_judge(tmp_path)
    (choice,) = choose(result)
    course = search_of(result.experiments[1], result)
    assert isinstance(course, Course)
    assert course.move == End("beaten")
    assert course.next_rate is None, "nothing is confirmed"
    (note,) = (note for note in answer_notes(result, [choice]) if "ended early" in note)
    assert note.startswith("The search on ml.p4d.24xlarge ended early, after ")
    assert (
        "against $0.600 on ml.g5.xlarge. Compared with a search as long as that on ml.g5.xlarge, this saved"
        in note
    )


def test_the_best_of_several_types_is_not_ended_early() -> None:
    """A few plans of `python -m bench.benchmarks.search_types`, in simulated time."""
    for seed in range(3):
        types = sorted(draw_types(seed), key=lambda kind: kind.usd_per_hour)
        best = min(types, key=lambda kind: kind.usd)
        played = play(types, stop=True)
        assert not any(each.ended_early for each in played if each.kind is best)
        assert math.fsum(each.spent_s for each in played) <= math.fsum(
            each.spent_s for each in play(types, stop=False)
        )


def test_a_price_is_beaten_by_more_than_the_resolution() -> None:
    assert rate_to_beat(usd=0.001, resolution=0.25, usd_per_hour=9.0) == pytest.approx(2.0)
