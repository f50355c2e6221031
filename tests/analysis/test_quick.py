"""The paragraph of a quick check says what the rows say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.decide.quick import QuickFacts, QuickLatency, quick_facts
from analysis.measure.step_window import measure_window
from analysis.render.quick_text import quick_text
from analysis.report import measure_and_judge
from tests.analysis.records import records, streamed
from tests.support.synthetic_run import Deployed, write_run

FACTS = QuickFacts(
    endpoint="sea",
    deployed="2 × ml.g5.xlarge",
    answered=40,
    failed=0,
    schema="openai",
    streams="steadily",
    chunks=64.0,
    spread=0.91,
    latency={
        "ttft": QuickLatency(380.0, 350.0, 410.0),
        "tpot": QuickLatency(25.0, 24.0, 26.0),
        "e2e": QuickLatency(2000.0, 1900.0, 2100.0),
    },
    tokens_per_s=40.0,
    prompt_tokens=75.0,
    completion_tokens=64.0,
    usd_per_hour=2.8168,
    price_source="AWS Price List API",
)


def test_a_working_endpoint_is_one_paragraph_with_all_that_matters() -> None:
    assert quick_text(FACTS, "make bench ENDPOINT=sea") == (
        "sea works: it answered all 40 requests in OpenAI's chat format (schema: openai). It really streams: "
        "the 64 chunks of an answer arrive over 91% of its time. For one user, with prompts of 75 and "
        "answers of 64 tokens on average, the first token arrives after 380 ms (TTFT, 350 ms to 410 ms), "
        "each further token takes 25.0 ms (TPOT, 24.0 ms to 26.0 ms, which is 40.0 tokens/s) and the whole "
        "answer takes "
        "2.00 s (E2E, 1.90 s to 2.10 s). These are medians of 40 requests, with 95% intervals. It runs on "
        "2 × ml.g5.xlarge, which costs $2.8168 per hour (AWS Price List API). Next: make bench ENDPOINT=sea"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"failed": 2, "errors": {"throttled": 2}}, "(schema: openai), and 2 failed (2 × throttled)"),
        ({"answered": 0, "failed": 7, "errors": {"auth": 7}}, "not work: all 7 requests failed (7 × auth)."),
        ({"answered": 0, "error": "the container ended"}, "sea does not work: the container ended."),
        ({"streams": "not", "latency": {"e2e": QuickLatency(90.0)}}, "no TTFT and no TPOT. For one user"),
        ({"streams": "at_once"}, "the whole answer arrives at once at its end"),
        ({"streams": "in_blocks", "chunks": 4.0}, "about 16 tokens at a time, in 4 chunks"),
        ({"latency": {"e2e": QuickLatency(90.0)}}, "(E2E). These are medians of 40 requests, too few"),
        ({"price_assumed": True}, "at an assumed price of $2.8168 per hour."),
        ({"usd_per_hour": None}, "no price is known."),
        ({"deployed": None}, "its instances could not be described."),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_said(change: dict[str, Any], said: str) -> None:
    assert said in quick_text(replace(FACTS, **change), "make bench")


def facts_of(folder: Path, rows: list[dict[str, Any]], *, stream: bool = True) -> QuickFacts:
    """The facts of a run of which the one step has these rows."""
    write_run(folder, (Deployed(concurrency=(1,), measure_s=60),))
    result = measure_and_judge(folder)
    result.plan["workload"] = {"schema": "tgi", "stream": stream}
    (step,) = result.experiments[0].steps
    assert step.window is not None
    own = records(*({**row, "started_at": step.window.start + n} for n, row in enumerate(rows)))
    result.experiments[0].steps = [measure_window(step, own, own, result.rows.iloc[:0].assign(count=0), [])]
    return quick_facts(result)


@pytest.mark.parametrize(
    ("row", "stream", "streams"),
    [
        (streamed(0, 100, 900, 40, chunks=40), True, "steadily"),
        (streamed(0, 100, 900, 40, chunks=5, first=8), True, "in_blocks"),
        (streamed(0, 899, 900, 40, chunks=40), True, "at_once"),
        (streamed(0, 900, 900, 40, chunks=1, first=40), True, "at_once"),
        (streamed(0, 5000, 5100, 10, chunks=10), True, "steadily"),
        ({"e2e_ms": 900.0, "completion_tokens": 40}, False, "not"),
    ],
    ids=["token by token", "blocks", "collected", "one chunk", "after a long prompt", "not asked for"],
)
def test_whether_it_streams_is_read_off_the_arrivals(
    tmp_path: Path, *, row: dict[str, Any], stream: bool, streams: str
) -> None:
    facts = facts_of(tmp_path, [row] * 20, stream=stream)
    assert (facts.streams, facts.answered, facts.schema) == (streams, 20, "tgi")


def test_a_median_has_its_interval_and_the_price_is_of_all_instances(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(concurrency=(1,), measure_s=120, instance_count=2),))
    facts = quick_facts(measure_and_judge(tmp_path))
    ttft = facts.latency["ttft"]
    assert ttft.low_ms is not None
    assert ttft.high_ms is not None
    assert ttft.low_ms < ttft.p50_ms < ttft.high_ms
    assert (facts.deployed, facts.usd_per_hour) == ("2 × ml.g5.xlarge", pytest.approx(2.8168))
