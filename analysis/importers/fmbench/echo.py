"""Completions that repeat the prompt, as older text-generation servers send them: that is no output.

FMBench counts the tokens of whatever text comes back. Where an endpoint returns the prompt before its answer,
that makes the prompt part of the output, and tokens per second and dollars per token are wrong by any factor.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from analysis.importers.fmbench.records import RequestRecord
from analysis.metrics.statistics import Floats

SLACK = 4
"""Tokens by which counting a text again may exceed what the server generated (a start token, a split)."""
FEWEST = 5
"""Answers needed before token counts alone say that prompts are repeated."""
NEARLY_ALL = 0.9

Evidence = Literal["text", "limit"]


@dataclass(frozen=True)
class Echo:
    """How it is known that completions hold their prompts, and how many of them do."""

    evidence: Evidence
    """The text starts with the prompt, or the counts exceed the request's limit."""
    answers: int
    of: int


def find_echo(requests: list[RequestRecord]) -> Echo | None:
    """Whether completions of one endpoint repeat their prompts; None when nothing says so.

    Formula: the text starts with the prompt; or nearly all answers are longer than their limit allows, and
    longer than their prompt by no more than that limit.
    Unit: answers.
    Source: FMBench counts ``generated_text``, and TGI's ``return_full_text`` puts the prompt before it.
    """
    answered = [r for r in requests if r.answered]
    by_text = sum(r.repeats_prompt for r in answered)
    if by_text:
        return Echo("text", by_text, len(answered))
    by_limit = sum(_beyond_limit(r) for r in answered)
    if by_limit >= FEWEST and by_limit >= NEARLY_ALL * len(answered):
        return Echo("limit", by_limit, len(answered))
    return None


def _beyond_limit(request: RequestRecord) -> bool:
    prompt, completion, limit = request.prompt_tokens, request.completion_tokens, request.max_tokens
    if prompt is None or completion is None or limit is None:
        return False
    return completion > limit + SLACK and 0 <= completion - prompt <= limit + SLACK


def counts_follow(prompts: Floats, completions: Floats) -> bool:
    """Whether every completion is its prompt and a little more, by the token counts alone.

    Formula: completion ≥ prompt always, and the excess varies less than a quarter as much as the prompts do.
    Unit: tokens, the sums of one burst each.
    Source: the length of a genuine answer does not follow the length of its prompt token by token.
    """
    if len(prompts) < FEWEST or float(np.std(prompts)) == 0:
        return False
    excess = completions - prompts
    return bool((excess >= 0).all() and np.std(excess) < 0.25 * np.std(prompts))


def without_prompt(request: RequestRecord, echo: Echo) -> RequestRecord:
    """The request with the tokens that the model generated: completion less prompt, None without a count."""
    if echo.evidence == "text" and not request.repeats_prompt:
        return request
    prompt, completion = request.prompt_tokens, request.completion_tokens
    if prompt is None or completion is None:
        return replace(request, completion_tokens=None)
    return replace(request, completion_tokens=max(0.0, completion - prompt))
