"""What Locust's own files say of a run, beside our rows: plain data for the judgement and the pages."""

from dataclasses import dataclass, field

Key = tuple[str, str]
"""Method and name of an entry of Locust's statistics."""


@dataclass(frozen=True)
class LocustEntry:
    """One row of Locust's statistics, over the whole run or since the last reset.

    Times are in milliseconds for a request; a measure has whatever unit its user gave it. Percentiles are
    Locust's, from rounded buckets. ``per_minute`` is of requests that did not fail, over the whole run with
    its ramp; ``per_minute_by_step`` is of each level, where the history has this name. None is "not in the
    files".
    """

    method: str
    name: str
    is_measure: bool
    count: int
    failed: int
    mean: float | None
    low: float | None
    high: float | None
    percentiles: dict[str, float]
    content_bytes: float | None
    per_minute: float | None
    errors: dict[str, int]
    per_minute_by_step: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Method and name."""
        return self.method, self.name

    @property
    def label(self) -> str:
        """``POST /chat``."""
        return f"{self.method} {self.name}".strip()

    @property
    def ok(self) -> int:
        """Requests that did not fail."""
        return self.count - self.failed

    @property
    def error_rate(self) -> float | None:
        """Share of the requests that failed."""
        return self.failed / self.count if self.count else None


@dataclass(frozen=True)
class LocustRun:
    """What Locust's files say beyond the steps: the tables by method and name.

    ``several_levels`` says whether there are levels to compare; ``whole_run`` whether the only step is the
    whole run with its ramp, because the files do not tell its parts.
    """

    requests: list[LocustEntry]
    measures: list[LocustEntry]
    exceptions: dict[str, int]
    resets: int
    several_levels: bool
    whole_run: bool


@dataclass(frozen=True)
class Reconciled:
    """One step: our rows beside Locust's own row of the same name."""

    step: str
    rows: int
    locust: int
    failed_rows: int
    """Failed or cut off: Locust counts both as failures."""
    locust_failures: int
    mean_ms: float | None
    """Of how long every request took; None where an older record does not say it."""
    locust_mean_ms: float | None

    @property
    def agrees(self) -> bool:
        """Whether the counts are equal and the means differ by no more than 1%."""
        counts = (self.rows, self.failed_rows) == (self.locust, self.locust_failures)
        if self.mean_ms is None or self.locust_mean_ms is None:
            return counts
        return counts and abs(self.mean_ms - self.locust_mean_ms) <= 0.01 * max(self.mean_ms, 1.0)
