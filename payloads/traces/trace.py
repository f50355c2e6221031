"""A trace: arrivals in time, with their lengths and sessions."""

from dataclasses import dataclass, replace

BLOCK_TOKENS = 512
"""Length of Mooncake's blocks, and of a shared prefix whose length the trace does not have."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of a trace. A value that the trace does not have is None."""

    at_s: float
    """Seconds; in a `Trace`, after its first arrival."""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    session: str | None = None
    """Requests of one session are the turns of one conversation."""
    prefix: tuple[str, ...] = ()
    """The prompt's leading blocks, outermost first: prompts with equal leading blocks share that prefix."""
    block_tokens: int = BLOCK_TOKENS
    """Length of each block; the last one may be shorter."""
    body: bytes | None = None
    """The body of the request, where it was captured."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that could not be read."""

    file: str
    line: int
    """Counted from 1."""
    finding: str


@dataclass(frozen=True)
class Trace:
    """Arrivals in the order of their times, the first at 0."""

    format: str
    """Name of the format that was recognized."""
    arrivals: tuple[Arrival, ...]
    malformed: tuple[Malformed, ...] = ()
    """Lines that were left out, in the order of the files."""

    @property
    def duration_s(self) -> float:
        """Seconds from the first arrival to the last."""
        return self.arrivals[-1].at_s if self.arrivals else 0.0

    def limited(self, seconds: float) -> "Trace":
        """The first ``seconds`` of it."""
        return replace(self, arrivals=tuple(a for a in self.arrivals if a.at_s <= seconds))

    def faster(self, speed: float) -> "Trace":
        """The same arrivals ``speed`` times as fast; lengths and sessions are unchanged."""
        return replace(self, arrivals=tuple(replace(a, at_s=a.at_s / speed) for a in self.arrivals))


def ordered(arrivals: list[Arrival]) -> tuple[Arrival, ...]:
    """Sort by time and count from the first. Arrivals of one time keep their order."""
    if not arrivals:
        return ()
    placed = sorted(arrivals, key=lambda arrival: arrival.at_s)
    first = placed[0].at_s
    return tuple(replace(arrival, at_s=arrival.at_s - first) for arrival in placed)
