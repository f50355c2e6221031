"""What a step's result holds of its conversations."""

from dataclasses import dataclass

from analysis.measure.distribution import Distribution
from analysis.measure.step_parts import Counts


@dataclass(frozen=True)
class TurnFacts:
    """The turns of one number among the requests of a window; means and latencies of answered ones."""

    turn: int
    counts: Counts
    prompt_tokens_mean: float | None
    cached_share: float | None
    ttft: Distribution | None
    e2e: Distribution | None


@dataclass(frozen=True)
class SessionFacts:
    """The stateful sessions of the turns of a window."""

    share: float
    """Of the answered turns, those that named a session."""
    opening: Distribution | None
    """Of the invocations that opened one."""


@dataclass(frozen=True)
class ConversationFacts:
    """The conversations of one step."""

    completed: int
    """Those whose last turn was answered in the window."""
    per_minute: float | None
    turns_mean: float | None
    """Turns of a completed conversation."""
    cut_off: int
    """Turns that were not sent because an earlier one was not answered."""
    sessions: SessionFacts | None
    """None without a turn in a stateful session."""
    turns: tuple[TurnFacts, ...]
