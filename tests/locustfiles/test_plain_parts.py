"""Parts of plain Locust runs, without Locust."""

from locustfiles.client.response import InvocationResult
from locustfiles.messages import MeasureWindow
from locustfiles.worker.answer import Answer
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
