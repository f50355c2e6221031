"""Simulated endpoints with a known knee, in simulated time, for the benchmark of the search.

Every second of load at a level is a number of requests and how many of them exceed the limit. The latency is
lognormal around a median that depends on the level, wanders with a memory, and follows a change of the load
with a lag.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.stats import norm

from analysis.decide.search.probes import Criterion, Probe, estimate_share
from analysis.metrics.statistics import ratio_interval

LIMIT_S = 4.0
LOW, HIGH = 1, 256
WARM_UP_S = 15
BLOCKS = 60
P95 = Criterion("E2E p95", 0.05)
CRITERIA = (P95,)


@dataclass(frozen=True)
class Shape:
    """How an endpoint answers. ``median`` is of level / capacity, as a share of the limit."""

    name: str
    median: Callable[[np.ndarray], np.ndarray]
    spread: float = 0.25
    """Standard deviation of the logarithm of the latency."""
    noise: float = 0.03
    """Standard deviation of the logarithm of its slow wandering."""
    memory_s: float = 3.0
    lag_s: float = 3.0
    """How long the latency takes to follow a change of the load."""
    slower_per_hour: float = 0.0
    """Growth of the latency with time."""


def _smooth(x: np.ndarray) -> np.ndarray:
    return 0.35 * (1 + x**1.5)


def _cliff(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 1, 0.45 + 0.05 * x, 1.6 + 0.2 * (x - 1))


def _plateaus(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.4, 0.35, np.where(x <= 1, 0.58, 1.4))


def _collapse(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 1, 0.3 + 0.2 * x, 0.5 + 6.0 * np.minimum(0.5, x - 1) + 0.5)


SHAPES = (
    Shape("smooth", _smooth),
    Shape("cliff", _cliff),
    Shape("noisy", _smooth, spread=0.4, noise=0.08, memory_s=6.0),
    Shape("two plateaus", _plateaus),
    Shape("slow drift", _smooth, slower_per_hour=0.04),
    Shape("KV-cache collapse", _collapse, lag_s=8.0),
    Shape("everything meets", lambda x: np.full_like(x, 0.4)),
    Shape("nothing meets", lambda x: 1.3 + 0.1 * x),
)


def highest_passing(shape: Shape, capacity: float, at_s: float = 0.0) -> float:
    """The highest whole level whose long-run share above the limit is allowed; 0 if none is."""
    levels = np.arange(LOW, HIGH + 1, dtype=float)
    passing = levels[_share(shape, levels / capacity, at_s, 0.0, total=True) <= P95.allowed]
    return float(passing.max()) if len(passing) else 0.0


def rate_at(shape: Shape, capacity: float, level: float) -> float:
    """Requests per second of so many users in the long run; each sends again when it has its answer."""
    return float(level / (LIMIT_S * shape.median(np.array(level / capacity))))


def _share(
    shape: Shape, x: np.ndarray, at_s: float | np.ndarray, wander: float | np.ndarray, *, total: bool = False
) -> np.ndarray:
    """Share of requests above the limit; with ``total``, over all the wandering."""
    middle = np.log(shape.median(x)) + np.log1p(shape.slower_per_hour * np.asarray(at_s) / 3600) + wander
    spread = math.hypot(shape.spread, shape.noise) if total else shape.spread
    return np.asarray(norm.sf(-middle / spread))


class SimulatedEndpoint:
    """One endpoint under load, second by second; the load never stops between two visits."""

    def __init__(self, shape: Shape, capacity: float, seed: int) -> None:
        self._shape, self._capacity = shape, capacity
        self._random = np.random.default_rng(seed)
        self._now = 0.0
        self._felt = 0.0
        """The level that the latency has followed so far."""
        self._wander = 0.0

    @property
    def now(self) -> float:
        """Seconds of load so far."""
        return self._now

    def run(self, level: float, seconds: int) -> tuple[np.ndarray, np.ndarray]:
        """Load the endpoint; requests and requests above the limit, per second."""
        shape, ticks = self._shape, np.arange(1, seconds + 1)
        felt = level + (self._felt - level) * np.exp(-ticks / shape.lag_s)
        kept = math.exp(-1 / shape.memory_s)
        steps = self._random.standard_normal(seconds) * shape.noise * math.sqrt(1 - kept**2)
        wander = lfilter([1.0], [1.0, -kept], steps) + self._wander * kept**ticks
        self._felt, self._wander = float(felt[-1]), float(wander[-1])
        at_s = self._now + ticks
        self._now += seconds
        x = felt / self._capacity
        latency_s = LIMIT_S * shape.median(x) * np.exp(wander)
        requests = self._random.poisson(level / latency_s).astype(float)
        above = self._random.binomial(requests.astype(int), _share(shape, x, at_s, wander)).astype(float)
        return requests, above


class Visit:
    """One stay at a level, which can be extended."""

    def __init__(self, endpoint: SimulatedEndpoint, level: float) -> None:
        self._endpoint, self.level = endpoint, level
        self._before = endpoint.now
        endpoint.run(level, WARM_UP_S)
        self._requests, self._above = np.empty(0), np.empty(0)

    def extend(self, seconds: float) -> Probe:
        """Measure for so long; what the visit has measured then."""
        requests, above = self._endpoint.run(self.level, max(1, math.ceil(seconds)))
        self._requests = np.concatenate([self._requests, requests])
        self._above = np.concatenate([self._above, above])
        length = len(self._requests)
        edges = np.unique(np.linspace(0, length, min(BLOCKS, length) + 1).astype(int)[:-1])
        half = length // 2
        blocks = np.add.reduceat(self._requests, edges)
        rate = ratio_interval(blocks, np.diff(np.append(edges, length)).astype(float))
        late = self._above[half:].sum() / max(1.0, self._requests[half:].sum())
        return Probe(
            level=self.level,
            seconds=length,
            spent_s=self._endpoint.now - self._before,
            requests=int(self._requests.sum()),
            in_flight=self.level,
            estimates=(estimate_share(blocks, np.add.reduceat(self._above, edges)),),
            late=(float(late),),
            rate_at_most=None if rate is None else rate.high,
        )
