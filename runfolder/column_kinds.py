"""What the columns of a run folder's tables hold, and which of them may be missing."""

import typing
from dataclasses import fields
from typing import TYPE_CHECKING

from runfolder.records import CloudWatchPoint, GapBucket, Request, StepRow, WorkerReport

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RECORDS: tuple[type["DataclassInstance"], ...] = (Request, StepRow, WorkerReport, GapBucket, CloudWatchPoint)


def _text_columns(kind: type["DataclassInstance"]) -> set[str]:
    hints = typing.get_type_hints(kind)
    types = {field.name: {hints[field.name], *typing.get_args(hints[field.name])} for field in fields(kind)}
    return {name for name, parts in types.items() if parts.isdisjoint({int, float})}


TEXT = frozenset().union(*map(_text_columns, RECORDS))
"""Columns of text, by the types of the records; all others hold numbers."""
UNREAD = frozenset({"request_id", "inference_id", "bytes_out"})
"""Columns of requests.csv that no figure uses: two million identifiers would be a third of the memory."""
LATER = frozenset(
    {
        "arrival",
        "arrivals",
        "asked_output_tokens",
        "asked_prompt_tokens",
        "cached_prompt_tokens",
        "clock_error_ms",
        "clock_offset_ms",
        "elapsed_ms",
        "first_chunk_source",
        "master_cpu_percent",
        "measure_planned_end_at",
        "part",
        "piece",
        "purpose",
        "ramp_from",
        "ramp_to",
        "rate",
        "reason_codes",
        "rtt_ms",
        "session",
        "session_close_ms",
        "session_id",
        "session_open_ms",
        "skipped_events",
        "speed",
        "turn",
        "withheld",
    }
)
"""Columns that run folders of older versions lack. Code that needs them reports their absence."""
DURATIONS = (
    "ttft_ms",
    "ttfo_ms",
    "e2e_ms",
    "elapsed_ms",
    "tpot_ms",
    "connect_ms",
    "session_open_ms",
    "session_close_ms",
)
COUNTS = (
    "prompt_tokens",
    "cached_prompt_tokens",
    "asked_prompt_tokens",
    "completion_tokens",
    "asked_output_tokens",
    "chunks",
    "first_chunk_tokens",
    "skipped_events",
)
