"""Messages between master and workers: sealed, and of their shape."""

from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from locustfiles.message_seal import MAX_BYTES, MessageError, MessageSeal
from locustfiles.messages import (
    ASSIGNMENT,
    FINISHED,
    HELLO,
    MOST_ASSIGNMENT_BYTES,
    READY,
    REPORT,
    STEP_ACK,
    ReportMessage,
    read_message,
)
from tests.locustfiles.fake import FakeWorker, FakeWorkerGroup, ManualClock

SEAL = MessageSeal("of the run")


def report_content() -> dict[str, Any]:
    group = FakeWorkerGroup(ManualClock())
    group.users, group.step = 2, "x/c2"
    report = group.report_of(FakeWorker("c0", "w0"))
    return {name: getattr(report, name) for name in ReportMessage.__slots__}


def test_a_sealed_message_comes_back_as_it_was() -> None:
    content = report_content()
    said = read_message(REPORT, SEAL.unwrap(REPORT, SEAL.wrap(REPORT, content)))
    assert [list(row) for row in said.rows] == content["rows"]
    assert said.counts == content["counts"]


@pytest.mark.parametrize(
    "message",
    [
        None, 5, "text", [], {}, {"body": b""}, {"body": "text", "mac": "text"},
        MessageSeal("of another run").wrap(REPORT, {"a": 1}),
        MessageSeal("").wrap(REPORT, {"a": 1}),
        SEAL.wrap(HELLO, {"a": 1}),
        SEAL.wrap(REPORT, {"a": 1}) | {"body": msgpack.packb({"a": 2})},
        {"body": bytes(MAX_BYTES + 1), "mac": b""},
    ],
)  # fmt: skip
def test_what_is_not_sealed_for_this_kind_under_this_token_is_not_opened(message: object) -> None:
    with pytest.raises(MessageError):
        SEAL.unwrap(REPORT, message)


def test_an_assignment_may_hold_more_prompts_than_other_messages_may_hold() -> None:
    prompts = {"prompt": "x" * MAX_BYTES}
    sealed = SEAL.wrap(ASSIGNMENT, prompts)
    assert SEAL.unwrap(ASSIGNMENT, sealed, most_bytes=MOST_ASSIGNMENT_BYTES) == prompts
    with pytest.raises(MessageError, match="too large"):
        SEAL.unwrap(ASSIGNMENT, sealed)


@given(junk=st.binary(max_size=200))
@example(junk=b"\x81\x80\x00")  # a list as a key
def test_junk_that_is_sealed_is_an_error_or_a_value_and_no_crash(junk: bytes) -> None:
    try:
        content = SEAL.unwrap(REPORT, {"body": junk, "mac": SEAL._mac(REPORT, junk)})
        read_message(REPORT, content)
    except MessageError:
        return
    raise AssertionError("nothing that short is a report")


@pytest.mark.parametrize(
    "change",
    [
        {"sent_at": float("nan")},
        {"sent_at": "soon"},
        {"rows": 5},
        {"rows": [[1, 2, 3]]},
        {"rows": [["r"] * 10]},
        {"worker": "w" * 1000},
        {"in_flight": -1},
        {"counts": {"x/c2": [1]}},
        {"health": {"cpu_percent": "much"}},
        {"number": None},
    ],
)
def test_a_report_of_another_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        read_message(REPORT, report_content() | change)


@given(
    kind=st.sampled_from([HELLO, READY, STEP_ACK, FINISHED, REPORT]),
    content=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    ),
)
def test_other_content_is_one_error(kind: str, content: object) -> None:
    with pytest.raises(MessageError):
        read_message(kind, content)


# Whom a worker sends signed requests to
