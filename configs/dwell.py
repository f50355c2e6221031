"""How long a step warms up and is measured: a fixed time, or until its figures are good enough."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from configs.durations import Seconds
from configs.fields import Share, Strict

_DAY_S = 86_400.0
MLPERF_LEAST_S = 600.0
MLPERF_LATENCIES = 5
"""MLPerf Endpoints' minimum duration: 10 minutes, and five times the p99 of the E2E latency."""
LEAST_S, LEAST_WARM_UP_S = 90.0, 5.0
"""The shortest measurement and the shortest warm-up, unless the plan says another."""

Statistic = Literal[
    "throughput",
    "ttft_p50",
    "ttft_p90",
    "ttft_p95",
    "ttft_p99",
    "tpot_p50",
    "tpot_p90",
    "tpot_p95",
    "tpot_p99",
    "e2e_p50",
    "e2e_p90",
    "e2e_p95",
    "e2e_p99",
]
"""Requests per minute, or a percentile of a latency."""


def statistic_name(statistic: str) -> str:
    """``E2E p95``, ``requests/min``."""
    metric, _, percentile = statistic.partition("_")
    return f"{metric.upper()} {percentile}" if percentile else "requests/min"


class MeasureUntil(Strict):
    """A measurement that lasts until a statistic is known well enough."""

    until: Annotated[Share, Field(ge=0.001, le=0.5)] = Field(
        description="Measure until the 95% interval of the statistic reaches no further than this share of "
        "it to each side, such as `5%`, and the load is steady."
    )
    of: Statistic = Field(
        description="The statistic: `throughput` (requests per minute), or `ttft`, `tpot` or `e2e`, then `_` "
        "and `p50`, `p90`, `p95` or `p99`."
    )
    at_least: Annotated[Seconds, Field(le=_DAY_S)] | Literal["mlperf"] | None = Field(
        default=None,
        description="The shortest measurement; by default 90 s, or `at_most` if shorter. `mlperf` is "
        "MLPerf's minimum duration: 10 minutes, and five times the p99 of the E2E latency.",
    )
    at_most: Annotated[Seconds, Field(gt=0, le=_DAY_S)] = Field(description="The longest measurement.")

    @model_validator(mode="after")
    def _least_is_less(self) -> Self:
        if self.at_least == "mlperf" and self.at_most < MLPERF_LEAST_S:
            raise ValueError(f"at_most: MLPerf asks for 10 min at least, not {self.at_most:g} s")
        if isinstance(self.at_least, float):
            _check_bounds(self.at_least, self.at_most)
        return self

    def floor_s(self, e2e_p99_s: float | None) -> float:
        """The shortest measurement in seconds, once the p99 of the E2E latency is so much."""
        if self.at_least == "mlperf":
            return max(MLPERF_LEAST_S, MLPERF_LATENCIES * (e2e_p99_s or 0.0))
        return min(LEAST_S, self.at_most) if self.at_least is None else self.at_least


class WarmUpUntil(Strict):
    """A warm-up that lasts until the load is steady."""

    until: Literal["steady"] = Field(
        description="Warm up until the time per token and the requests in flight have settled."
    )
    at_least: Annotated[Seconds, Field(le=_DAY_S)] | None = Field(
        default=None,
        description="The shortest warm-up; by default 5 s, or `at_most` if that is shorter.",
    )
    at_most: Annotated[Seconds, Field(gt=0, le=_DAY_S)] = Field(
        default=120.0, description="The longest warm-up."
    )

    @model_validator(mode="after")
    def _least_is_less(self) -> Self:
        if self.at_least is not None:
            _check_bounds(self.at_least, self.at_most)
        return self

    @property
    def floor_s(self) -> float:
        """The shortest warm-up in seconds."""
        return min(LEAST_WARM_UP_S, self.at_most) if self.at_least is None else self.at_least


def _check_bounds(at_least: float, at_most: float) -> None:
    if at_least > at_most:
        raise ValueError(f"at_least ({at_least:g} s) is longer than at_most ({at_most:g} s)")


def _kind(value: object) -> str:
    return "[until]" if isinstance(value, dict | MeasureUntil | WarmUpUntil) else "[seconds]"


Measure = Annotated[
    Annotated[Seconds, Field(gt=0, le=_DAY_S), Tag("[seconds]")] | Annotated[MeasureUntil, Tag("[until]")],
    Discriminator(_kind),
]
WarmUp = Annotated[
    Annotated[Seconds, Field(le=_DAY_S), Tag("[seconds]")] | Annotated[WarmUpUntil, Tag("[until]")],
    Discriminator(_kind),
]
"""A mistake in a mapping is reported as one, and not as a duration that is none."""
