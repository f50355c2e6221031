"""What a step's result holds of one part of a mix."""

from dataclasses import dataclass, field

from analysis.measure.distribution import Distribution
from analysis.measure.step_parts import Counts, TokensPerRequest


@dataclass(frozen=True)
class PartFacts:
    """The requests of one part among those of a window; means and latencies of answered ones."""

    part: str
    counts: Counts
    """Requests that started in the window."""
    per_minute: float | None
    """Answered requests per minute that ended in it."""
    completion_tokens_per_s: float | None
    in_flight: float | None
    """Mean number in flight."""
    tokens: TokensPerRequest = field(default_factory=TokensPerRequest)
    latency: dict[str, Distribution] = field(default_factory=dict)
    """By metric, as `StepResult.latency`."""
    usd_per_request: float | None = None
    """Its requests pay for the time that they take up (`cost.usd_per_request_of_part`)."""
