"""Latency histograms and token counts of a load, for monitoring. A row costs microseconds."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from runfolder.records import Request

Latency = Literal["ttft_ms", "tpot_ms", "e2e_ms"]

_UP_TO_82_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_UP_TO_2_5_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
BOUNDS_S: Mapping[Latency, tuple[float, ...]] = MappingProxyType(
    {"ttft_ms": _UP_TO_82_S, "tpot_ms": _UP_TO_2_5_S, "e2e_ms": _UP_TO_82_S}
)
"""Upper bounds of the buckets of each latency in seconds. OpenTelemetry's GenAI conventions advise them for
time to first chunk, time per output token, and duration. One more bucket has what is longer."""


@dataclass(slots=True)
class _Histogram:
    """How many latencies fell into each bucket."""

    bounds_ms: tuple[float, ...]
    counts: list[int]
    """The last one: of those above all bounds."""
    sum_ms: float = 0.0


class RowTotals:
    """Adds up the answered requests of a load, of all steps and phases: nothing here ever becomes less."""

    __slots__ = ("_histograms", "completion_tokens", "prompt_tokens")

    def __init__(self) -> None:
        self.prompt_tokens: int | None = None
        """None until a row has their number."""
        self.completion_tokens: int | None = None
        self._histograms = {
            name: _Histogram(tuple(bound * 1000 for bound in bounds), [0] * (len(bounds) + 1))
            for name, bounds in BOUNDS_S.items()
        }

    def add(self, row: Request) -> None:
        """Count an ok request."""
        if row.prompt_tokens is not None:
            self.prompt_tokens = (self.prompt_tokens or 0) + row.prompt_tokens
        if row.completion_tokens is not None:
            self.completion_tokens = (self.completion_tokens or 0) + row.completion_tokens
        for name, histogram in self._histograms.items():
            if (value := row.latency_ms(name)) is not None:
                histogram.counts[bisect_left(histogram.bounds_ms, value)] += 1
                histogram.sum_ms += value

    def as_data(self) -> dict[str, Any]:
        """Tokens, and of each latency (`BOUNDS_S`) the sum and the number in each bucket."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            **{
                name.removesuffix("_ms"): {"sum_ms": round(each.sum_ms, 3), "counts": each.counts}
                for name, each in self._histograms.items()
            },
        }
