"""The parts of a `StepResult`, each built once by the code that measures it. None is "not measured"."""

from dataclasses import dataclass, field

from analysis.metrics.statistics import Interval


@dataclass(frozen=True)
class Counts:
    """How many requests were answered, failed, were cut off (censored), or were not sent (withheld)."""

    ok: int = 0
    failed: int = 0
    censored: int = 0
    withheld: int = 0

    @property
    def total(self) -> int:
        """All requests, however they ended."""
        return self.ok + self.failed + self.censored + self.withheld

    @property
    def ended(self) -> int:
        """Requests that were answered or failed: what an error rate is a share of."""
        return self.ok + self.failed

    @property
    def error_rate(self) -> float | None:
        """Failed requests / those that ended, 0 to 1; None when none ended."""
        return self.failed / self.ended if self.ended else None


@dataclass(frozen=True)
class Errors:
    """The failed requests among those that started in the measure window."""

    rate: float | None = None
    """Share of the requests that ended, 0 to 1."""
    classes: dict[str, int] = field(default_factory=dict)
    """Failed requests by class, the most frequent first."""


@dataclass(frozen=True)
class Throughput:
    """What happened inside the measure window, whenever the requests started."""

    completions: int | None = None
    """Answered requests that ended in the window."""
    per_minute: float | None = None
    """Answered requests per minute."""
    per_minute_interval: Interval | None = None
    """95% interval of ``per_minute``."""
    prompt_tokens_per_s: float | None = None
    completion_tokens_per_s: float | None = None


@dataclass(frozen=True)
class Goodput:
    """Requests that met every latency objective; absent without objectives."""

    per_s: float | None = None
    """Requests per second."""
    share: float | None = None
    """Share of all requests that started in the window, 0 to 1."""


@dataclass(frozen=True)
class TokensPerRequest:
    """Mean tokens of an answered request."""

    prompt: float | None = None
    completion: float | None = None


@dataclass(frozen=True)
class Streaming:
    """How fast one user sees an answer arrive."""

    tokens_per_s_p50: float | None = None
    """Median over the answers of the output tokens per second that one user receives."""
    gap_p50_ms: float | None = None
    """Median time between two chunks, in milliseconds."""
    gap_p99_ms: float | None = None
    spread_p50: float | None = None
    """Median part of an answer's time over which its chunks arrive, 0 to 1; near 0 if all come at the end."""
    chunks_p50: float | None = None
    """Median number of chunks of an answer."""


@dataclass(frozen=True)
class InFlight:
    """How many requests were in flight at once inside the measure window."""

    mean: float | None = None
    """Requests, averaged over time."""
    least: float | None = None
    """The least mean over a twentieth of the window; only where the step has a reason code."""
    over_time: tuple[float, ...] = ()
    """In open loop, the means over twenty equal parts of the window; empty where they are not known."""
    rising: bool = False
    """In open loop: whether it rose through the whole window, so that the endpoint did not keep up."""
    ttft_rising: bool = False
    """The same of the time to first token, which shows a queue before the number in flight does."""
    little_residual: float | None = None
    """Throughput × mean latency / concurrency − 1; above 0 is impossible (`in_flight.little_residual`)."""


@dataclass(frozen=True)
class Provenance:
    """Where the figures of the answers come from: answered requests by what was recorded of them."""

    finish_reasons: dict[str, int] = field(default_factory=dict)
    token_sources: dict[str, int] = field(default_factory=dict)
    """Who counted the output tokens: ``server``, ``tokenizer``, ``estimate`` or ``unknown``."""
    clocks: dict[str, int] = field(default_factory=dict)
    """Which clock took the arrival times: ``kernel`` or ``user``."""
    more_chunks_than_tokens: int = 0
    """Answers that came in more chunks than they have tokens, so that one of the counts is wrong."""


@dataclass(frozen=True)
class StepCost:
    """What the step's rates cost, in US dollars; absent without a price."""

    per_request: float | None = None
    per_request_interval: Interval | None = None
    """95% interval of ``per_request``."""
    per_million_output: float | None = None
    """Dollars per million completion tokens."""
    per_million_total: float | None = None
    per_conversation: float | None = None
    """Dollars per million prompt and completion tokens together."""


@dataclass(frozen=True)
class Health:
    """How the load generator fared during a step; all absent when it did not report."""

    cpu_max: float | None = None
    """The most that one process used, in percent of one core."""
    lag_p99_ms: float | None = None
    clock_lag_p50_ms: float | None = None
    clock_lag_p99_ms: float | None = None
    memory_mb: float | None = None
    workers: int | None = None
    master_cpu: float | None = None
    """The most that the master used, in percent of one core; None where no workers reported to a master."""
