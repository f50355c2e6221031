"""Parts of plain Locust runs, without Locust."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from configs.load import Timeouts
from configs.workload import Route
from emulator.model import ensure_tokenizer
from locustfiles.client.invocation_url import invocation_target
from locustfiles.client.response import InvocationResult
from locustfiles.client.tokenizer import token_counter
from locustfiles.messages import MeasureWindow
from locustfiles.worker.answer import Answer
from locustfiles.worker.endpoint import Endpoint
from locustfiles.worker.gap_histogram import GapCounter, bucket_of
from locustfiles.worker.request_log import RequestLog
from runfolder.records import Request


def test_gaps_of_a_name_are_counted_in_the_windows_of_its_steps() -> None:
    gaps = GapCounter()
    for started_at, gap in ((10.2, 1.0), (10.7, 2.0), (11.5, 3.0), (12.5, 4.0)):
        gaps.add("chat", started_at, [gap])
    gaps.split("chat", {"chat/u1": MeasureWindow(10.5, 12.0), "chat/u2": MeasureWindow(12.0, 13.0)})
    assert gaps.pop_counts() == [
        ("chat/u1", bucket_of(2.0), 1),
        ("chat/u1", bucket_of(3.0), 1),
        ("chat/u2", bucket_of(4.0), 1),
    ]


def test_an_answer_gives_the_next_turn_its_message_without_the_reasoning() -> None:
    request = Request("r", "chat", "w0", "p", 0.0)
    answer = Answer(InvocationResult(request, [], "Hm. The moon.", 5.0, "Hm. ", b'{"a": 1}'))
    assert answer
    assert answer.message == {"role": "assistant", "content": "The moon."}
    assert answer.json() == {"a": 1}


def test_a_failed_answer_is_false_and_names_its_class() -> None:
    request = Request("r", "chat", "w0", "p", 0.0, outcome="failed", error_class="throttled")
    answer = Answer(InvocationResult(request, [], "", 5.0))
    assert not answer
    assert answer.error == "throttled"


def test_a_second_test_of_a_process_counts_from_nothing() -> None:
    log = RequestLog("w0", keep_samples=True)
    for test in (1, 2):
        log.forget()
        request = log.open("chat", "p", 10.0 * test)
        log.close(InvocationResult(request, [1.0], "x", 5.0), "prompt")
        assert log.counts["chat"].started == 1
        batch = log.pop_batch()
        assert [row[0] for row in batch.rows] == [f"w0-{test}"]
        assert len(batch.samples) == 1
    log.gaps.split("chat", {"chat/u1": MeasureWindow(0.0, 100.0)})
    assert log.gaps.pop_counts() == [("chat/u1", bucket_of(1.0), 1)]


def test_a_tokenizer_counts_an_answer_and_another_file_is_named(tmp_path: Path) -> None:
    assert token_counter(str(ensure_tokenizer()))("The sea is wide.") == 5
    (wrong := tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer.json is not a tokenizer.json .*; give the path"):
        token_counter(str(wrong))


@pytest.mark.parametrize(
    ("route", "headers", "takes"),
    [("invocations", {}, True), ("invocations", {"InferenceId": "mine"}, False), ("openai", {}, False)],
)
def test_an_inference_id_is_sent_unless_the_user_sets_one_or_the_route_has_none(
    route: Route, headers: dict[str, str], *, takes: bool
) -> None:
    target = invocation_target(
        "sea", region="us-east-1", stream=True, route=route, component=None, headers=headers, text=True
    )
    keeper: Any = object()
    endpoint = Endpoint(target, keeper, timeouts=Timeouts(), on_lag=lambda _: None)
    assert endpoint.takes_inference_ids == takes
