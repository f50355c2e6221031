"""What was asked of the answers and what came: lengths, cached prompts, unknown events, impossible counts."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.measure.lengths import LengthMatch, match_lengths
from analysis.metrics.definitions import measured, numbers
from configs.workload import MAX_TOKENS_KEYS

_MIN_TOKENS_KEYS = ("min_tokens", "min_new_tokens")
_COUNTERS = frozenset({"server", "tokenizer"})
_CONTRADICTED = "contradicted"
"""A column beside those of requests.csv: the row's own count of output tokens cannot be."""


@dataclass(frozen=True)
class AskedLength:
    """How many output tokens the plan asks of every answer; None where it sets no such bound."""

    at_least: int | None = None
    at_most: int | None = None
    exact_rows: bool = True
    """Whether an answer must be as long as its own row asks (``workload.pin_output``)."""


@dataclass(frozen=True)
class AnswerFacts:
    """The answers of one step, ok requests that started in its window."""

    asked: AskedLength = AskedLength()
    counted: int = 0
    """Answers with a count of output tokens that is not an estimate, and no asked length of their own: the
    next two are of these."""
    shorter: int = 0
    longer: int = 0
    mean_tokens: float | None = None
    cached_share: float | None = None
    """Prompt tokens from the server's prefix cache / all prompt tokens, where the server says both."""
    with_skipped_events: int = 0
    output_lengths: LengthMatch = field(default_factory=LengthMatch)
    """Answers with an asked length of their own."""
    prompt_lengths: LengthMatch = field(default_factory=LengthMatch)
    estimated_prompts: int = 0
    """Prompts of an asked length that nobody counted."""
    shared_prefix: float = 0.0
    """Share of the prompt tokens that the plan lets prompts share."""
    contradicted: int = 0
    """Answers whose count of output tokens contradicts what arrived; it counts as unmeasured."""


def asked_length(plan: dict[str, Any]) -> AskedLength:
    """Read the bounds from a plan: ``min_tokens``, ``max_tokens``, and both at once by ``ignore_eos``."""
    workload = plan.get("workload") or {}
    parameters = workload.get("parameters") or {}
    upper = _counts(workload.get("max_tokens"), *(parameters.get(key) for key in sorted(MAX_TOKENS_KEYS)))
    lower = _counts(*(parameters.get(key) for key in _MIN_TOKENS_KEYS))
    if parameters.get("ignore_eos") is True:
        lower += upper[:1]
    exact = workload.get("pin_output") is not False
    return AskedLength(max(lower, default=None), next(iter(upper), None), exact)


def without_contradictions(rows: pd.DataFrame) -> pd.DataFrame:
    """Take the count of output tokens from answers that contradict it, and mark those rows.

    A token has at least one byte, and every chunk with content has at least one token: more tokens than bytes
    that arrived, or none beside chunks with content, cannot be.
    """
    tokens, chunks = numbers(rows, "completion_tokens"), numbers(rows, "chunks")
    contradicted = (tokens == 0) & (chunks > 0)
    if "bytes_in" in rows:
        contradicted |= tokens > numbers(rows, "bytes_in")
    contradicted &= (rows["outcome"] == "ok").to_numpy()
    if not contradicted.any():
        return rows
    source = rows["completion_tokens_source"].astype(object)
    return rows.assign(
        completion_tokens=np.where(contradicted, np.nan, tokens),
        completion_tokens_source=pd.Categorical(source.mask(contradicted, None)),
        **{_CONTRADICTED: contradicted},
    )


def describe_answers(ok: pd.DataFrame, asked: AskedLength, shared_prefix: float = 0.0) -> AnswerFacts:
    """Describe the ok rows that started in a window.

    Args:
        ok: the rows.
        asked: the bounds of the plan.
        shared_prefix: share of the prompt tokens that the plan lets prompts share.
    """
    counted = ok["completion_tokens_source"].astype(object).isin(_COUNTERS).to_numpy()
    every = measured(numbers(ok, "completion_tokens")[counted])
    own = numbers(ok, "asked_output_tokens") > 0 if "asked_output_tokens" in ok else np.zeros(len(ok), bool)
    tokens = measured(numbers(ok, "completion_tokens")[counted & ~own])
    return AnswerFacts(
        asked=asked,
        counted=len(tokens),
        shorter=0 if asked.at_least is None else int((tokens < asked.at_least).sum()),
        longer=0 if asked.at_most is None else int((tokens > asked.at_most).sum()),
        mean_tokens=float(every.mean()) if len(every) else None,
        cached_share=cached_share(ok),
        with_skipped_events=int((numbers(ok, "skipped_events") > 0).sum()),
        output_lengths=match_lengths(ok, "asked_output_tokens", "completion_tokens", _COUNTERS),
        prompt_lengths=match_lengths(ok, "asked_prompt_tokens", "prompt_tokens"),
        estimated_prompts=_estimated_prompts(ok),
        shared_prefix=shared_prefix,
        contradicted=int(ok[_CONTRADICTED].sum()) if _CONTRADICTED in ok else 0,
    )


def _estimated_prompts(ok: pd.DataFrame) -> int:
    if "asked_prompt_tokens" not in ok:
        return 0
    estimated = (ok["prompt_tokens_source"].astype(object) == "estimate").to_numpy()
    return int((estimated & (numbers(ok, "asked_prompt_tokens") > 0)).sum())


def cached_share(ok: pd.DataFrame) -> float | None:
    """Prompt tokens from the server's prefix cache / all prompt tokens, where the server says both."""
    prompt, cached = numbers(ok, "prompt_tokens"), numbers(ok, "cached_prompt_tokens")
    known = cached <= prompt  # not where one is NaN, nor where the server contradicts itself
    total = float(prompt[known].sum())
    return float(cached[known].sum()) / total if total > 0 else None


def _counts(*values: object) -> list[int]:
    return [v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 0]
