"""Trust checks of the answers: their lengths against the plan, impossible counts, caches, unknown events."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.measure.answers import AskedLength, asked_length
from analysis.measure.results import StepResult
from analysis.report import measure_and_judge
from runfolder.manifest import MadePrompts, read_manifest
from tests.support.synthetic_run import Deployed, Server, write_run


def judged(folder: Path, workload: dict[str, Any] | None = None, **columns: object) -> StepResult:
    """A run of 24 to 96 tokens an answer, with other values in some columns of its rows."""
    server = Server(completion_tokens=(60, 60)) if workload else Server()
    write_run(folder, (Deployed(server=server, measure_s=120, concurrency=(4,)),))
    manifest = read_manifest(folder)
    manifest.plan["workload"] = workload or {}
    manifest.save(folder)
    rows = pd.read_csv(folder / "requests.csv").assign(**columns)  # type: ignore[arg-type]
    rows.to_csv(folder / "requests.csv", index=False)
    (step,) = measure_and_judge(folder).steps
    return step


@pytest.mark.parametrize(
    ("workload", "asked"),
    [
        ({}, AskedLength()),
        ({"max_tokens": 200}, AskedLength(None, 200)),
        ({"parameters": {"max_new_tokens": 200}}, AskedLength(None, 200)),
        ({"parameters": {"max_tokens": 200, "ignore_eos": True}}, AskedLength(200, 200)),
        ({"max_tokens": 200, "parameters": {"min_tokens": 50}}, AskedLength(50, 200)),
        ({"parameters": {"min_tokens": "many", "max_tokens": True}}, AskedLength()),
    ],
)
def test_the_asked_length_is_that_of_the_plan(workload: dict[str, Any], asked: AskedLength) -> None:
    assert asked_length({"workload": workload}) == asked


@pytest.mark.parametrize(("asked", "level"), [(60, "pass"), (64, "warn"), (2000, "void")])
def test_answers_shorter_than_asked(tmp_path: Path, asked: int, level: str) -> None:
    step = judged(tmp_path, {"parameters": {"max_tokens": asked, "ignore_eos": True}})
    assert step.trust.level == level
    if level != "pass":
        (reason,) = step.trust.reasons
        assert reason.code == "answers_shorter_than_asked"
        assert reason.values == {"asked_tokens": asked, "mean_tokens": 60.0, "share": 1.0}


def test_answers_longer_than_the_limit(tmp_path: Path) -> None:
    """A server that ignores the limit, or counts its prompt as output."""
    step = judged(tmp_path, {"parameters": {"max_new_tokens": 16}})
    assert step.trust.codes == ["answers_longer_than_asked"]
    assert step.trust.level == "void"


def test_estimates_do_not_say_that_answers_are_short(tmp_path: Path) -> None:
    asked = {"parameters": {"max_tokens": 2000, "ignore_eos": True}}
    step = judged(tmp_path, asked, completion_tokens_source="estimate")
    assert step.trust.codes == ["estimated_tokens"]


@pytest.mark.parametrize("columns", [{"bytes_in": 20}, {"completion_tokens": 0}])
def test_counts_that_contradict_what_arrived_are_no_counts(tmp_path: Path, columns: dict[str, Any]) -> None:
    step = judged(tmp_path, **columns)
    assert "token_counts_contradict_text" in step.trust.codes
    assert step.throughput.completion_tokens_per_s is None
    assert step.cost.per_million_output is None
    assert "tpot" not in step.latency
    assert step.shown("e2e", 50) is not None, "latency stands"


def test_a_warm_cache_is_named_with_its_share(tmp_path: Path) -> None:
    step = judged(tmp_path, prompt_tokens=200, cached_prompt_tokens=150)
    (reason,) = step.trust.reasons
    assert (reason.level, reason.code, reason.values) == ("warn", "cached_prompts", {"share": 0.75})


def test_a_cached_chat_template_is_no_warm_cache(tmp_path: Path) -> None:
    assert judged(tmp_path, prompt_tokens=200, cached_prompt_tokens=16).trust.codes == []


def test_events_of_an_unknown_kind_are_counted(tmp_path: Path) -> None:
    step = judged(tmp_path, skipped_events=np.float64(2))
    (reason,) = step.trust.reasons
    assert (reason.code, reason.values["share"]) == ("skipped_events", 1.0)


def test_a_server_that_cached_more_than_the_prompt_says_nothing(tmp_path: Path) -> None:
    step = judged(tmp_path, prompt_tokens=150, cached_prompt_tokens=900)
    assert step.trust.codes == []
    assert step.answers.cached_share is None


@pytest.mark.parametrize(
    ("asked", "level", "codes"),
    [
        (60, "pass", []),
        (64, "warn", ["answers_shorter_than_asked"]),
        (50, "warn", ["answers_longer_than_asked"]),
        (300, "void", ["answers_shorter_than_asked"]),
    ],
)
def test_answers_of_another_length_than_their_row_asks(
    tmp_path: Path, asked: int, level: str, codes: list[str]
) -> None:
    step = judged(tmp_path, {"max_tokens": 4}, asked_output_tokens=asked)
    assert step.trust.codes == codes, "the row's own length counts, and not the plan's"
    assert step.trust.level == level
    assert step.answers.output_lengths.mismatch == pytest.approx(abs(60 / asked - 1))
    assert step.answers.counted == 0
    assert step.answers.mean_tokens == 60


def test_answers_may_be_shorter_where_the_plan_says_so(tmp_path: Path) -> None:
    step = judged(tmp_path, {"pin_output": False}, asked_output_tokens=300)
    assert step.trust.codes == []
    assert step.answers.output_lengths.mismatch == pytest.approx(0.8), "and the figure is still there"


@pytest.mark.parametrize(
    ("counted", "level"), [(1000, "pass"), (1019, "pass"), (979, "warn"), (1021, "warn"), (700, "void")]
)
def test_prompts_of_another_length_than_asked(tmp_path: Path, counted: int, level: str) -> None:
    step = judged(tmp_path, prompt_tokens=counted, asked_prompt_tokens=1000)
    assert step.trust.level == level
    assert step.trust.codes == ([] if level == "pass" else ["prompts_of_other_lengths"])
    assert step.answers.prompt_lengths.mismatch == pytest.approx(abs(counted / 1000 - 1))


def test_prompts_that_nobody_counted_are_estimates(tmp_path: Path) -> None:
    step = judged(tmp_path, prompt_tokens=700, asked_prompt_tokens=1000, prompt_tokens_source="estimate")
    assert step.trust.codes == ["estimated_prompt_lengths"]
    assert step.answers.prompt_lengths.mismatch is None, "an estimate proves nothing"


def test_a_cache_may_serve_the_prefixes_that_the_plan_lets_prompts_share(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=120, concurrency=(4,)),))
    manifest = read_manifest(tmp_path)
    manifest.experiments[0].made_prompts = MadePrompts(lengths="D(200)", prompts=9, prefix_share=0.5)
    manifest.save(tmp_path)
    rows = pd.read_csv(tmp_path / "requests.csv").assign(prompt_tokens=200, cached_prompt_tokens=110)
    rows.to_csv(tmp_path / "requests.csv", index=False)
    (step,) = measure_and_judge(tmp_path).steps
    assert step.trust.codes == []
    rows.assign(cached_prompt_tokens=130).to_csv(tmp_path / "requests.csv", index=False)
    (step,) = measure_and_judge(tmp_path).steps
    assert step.trust.codes == ["cached_prompts"]
