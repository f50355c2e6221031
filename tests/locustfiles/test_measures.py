"""What a row says of an answer: latencies, and token counts that bear their source."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.metrics import definitions
from locustfiles.client.answer_formats import Usage
from locustfiles.client.answer_parser import ParsedAnswer
from locustfiles.client.request_metrics import fill_metrics
from runfolder.records import Request


def answer(
    text: list[str] | None = None, *, tokens: int | None = None, first: int = 1, **values: Any
) -> ParsedAnswer:
    """Five chunks in two seconds, the first of ``first`` pieces."""
    text = [" a"] * 5 if text is None else text
    return ParsedAnswer(
        first_at=101.0, first_output_at=101.0, last_at=103.0, chunks=5, pieces=len(text), text=text,
        first_chunk_pieces=first, usage=Usage(completion_tokens=tokens), **values,
    )  # fmt: skip


def row_of(measured: ParsedAnswer, **options: Any) -> Request:
    row = Request("r1", "s", "w0", "p1", 100.0)
    fill_metrics(row, measured, stream=True, **options)
    return row


def words(text: str) -> int:
    """A tokenizer whose counts can be checked by eye."""
    return len(text.split())


def test_tpot_by_hand() -> None:
    row = row_of(answer([" a"] * 11, tokens=11))
    assert (row.ttft_ms, row.e2e_ms, row.tpot_ms) == (1000.0, 3000.0, 200.0)  # 2000 ms / (11 - 1)


def test_tpot_leaves_out_the_tokens_of_the_first_chunk() -> None:
    assert row_of(answer([" a"] * 11, tokens=11, first=3)).tpot_ms == 250.0  # 2000 ms / (11 - 3)


@settings(max_examples=40)
@given(tokens=st.integers(1, 40), first=st.integers(1, 40), chunks=st.integers(1, 5), seconds=st.floats(0, 9))
def test_the_rows_tpot_is_the_reports(tokens: int, first: int, chunks: int, seconds: float) -> None:
    parsed = ParsedAnswer(
        first_at=101.0,
        first_output_at=101.0,
        last_at=101.0 + seconds,
        chunks=chunks,
        pieces=tokens,
        text=[" a"] * tokens,
        first_chunk_pieces=min(first, tokens),
        usage=Usage(completion_tokens=tokens),
    )
    row = row_of(parsed)
    frame = pd.DataFrame([asdict(row)]).astype({"tpot_ms": float, "chunks": float})
    reported = definitions.per_row(frame, "tpot")
    assert reported == pytest.approx(frame["tpot_ms"].to_numpy(), nan_ok=True)


def test_tpot_of_one_token_is_unknown_and_never_zero() -> None:
    assert row_of(answer([" a"], tokens=1)).tpot_ms is None


def test_pieces_are_an_estimate_where_nobody_counts() -> None:
    row = row_of(answer())
    assert (row.completion_tokens, row.completion_tokens_source) == (5, "estimate")
    assert (row.first_chunk_tokens, row.first_chunk_source) == (1, "pieces")


def test_the_tokenizer_counts_what_the_server_does_not() -> None:
    row = row_of(answer([" one two"] + [" a"] * 7), count_tokens=words)
    assert (row.completion_tokens, row.completion_tokens_source) == (9, "tokenizer")
    assert (row.first_chunk_tokens, row.first_chunk_source) == (1, "pieces")


SPECULATIVE = ["alpha beta gamma delta", *[" one two three four"] * 7]
"""Eight events of four tokens each."""


@pytest.mark.parametrize(
    ("options", "running", "first", "source"),
    [
        ({}, 4, 4, "usage"),
        ({"count_tokens": words}, None, 4, "tokenizer"),
        ({}, None, 4, "proportion"),
    ],
)
def test_the_first_chunk_of_several_tokens_is_counted(
    options: dict[str, Any], running: int | None, first: int, source: str
) -> None:
    row = row_of(answer(SPECULATIVE, tokens=32, first_chunk_tokens=running), **options)
    assert (row.first_chunk_tokens, row.first_chunk_source) == (first, source)
    assert row.tpot_ms == pytest.approx(2000 / 28)


def test_a_first_chunk_of_one_token_before_larger_ones_is_one_token() -> None:
    row = row_of(answer(["The", *[" one two three four"] * 8], tokens=33))
    assert (row.first_chunk_tokens, row.first_chunk_source) == (1, "proportion")


@pytest.mark.parametrize("count", [0, 1])
def test_a_count_that_contradicts_the_text_is_not_taken(count: int) -> None:
    text = [" a"] * 9
    row = row_of(answer(text, tokens=count))
    assert (row.completion_tokens, row.completion_tokens_source) == (9, "estimate")
    whole = Request("r1", "s", "w0", "p1", 100.0)
    fill_metrics(whole, answer(text, tokens=count), stream=False)
    assert (whole.completion_tokens, whole.completion_tokens_source) == (None, None)


def test_cached_prompt_tokens_are_none_where_the_server_does_not_say() -> None:
    reported = answer(tokens=5)
    assert row_of(reported).cached_prompt_tokens is None
    reported.usage.cached_prompt_tokens = 0
    assert row_of(reported).cached_prompt_tokens == 0
