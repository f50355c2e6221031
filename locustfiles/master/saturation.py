"""Whether an endpoint keeps up with the arrivals: by the requests in flight and the times to first token."""

from runfolder.trend import UNSERVED, rises

_SAMPLE_S = 0.5
_LEAST_S = 20.0
_LEAST_SHARE = 0.5
_AGAIN_S = 5.0


class SaturationCheck:
    """Looks at what happened since the window opened.

    Args:
        measure_s: the planned length of the window in seconds.
        rate: arrivals per second.
    """

    def __init__(self, measure_s: float, rate: float) -> None:
        self._rate = rate
        self._in_flight: list[float] = []
        self._ttft_ms: list[float] = []
        self._first_s = max(_LEAST_SHARE * measure_s, min(_LEAST_S, measure_s))
        self._checked_s = 0.0
        self._reason: str | None = None

    def add_ttft(self, ttft_ms: float) -> None:
        """Add the time to first token of a request, in the order in which the requests ended."""
        self._ttft_ms.append(ttft_ms)

    def check(self, elapsed_s: float, in_flight: int, withheld: int) -> str | None:
        """Why the endpoint counts as saturated; None if it does not, or not yet.

        Args:
            elapsed_s: seconds since the window opened; called several times a second.
            in_flight: requests in flight now.
            withheld: requests of the step that were withheld because too many were in flight.
        """
        if withheld:
            return "saturated: requests arrived while load.max_in_flight were in flight"
        while len(self._in_flight) * _SAMPLE_S <= elapsed_s:
            self._in_flight.append(float(in_flight))
        if elapsed_s >= self._first_s and elapsed_s - self._checked_s >= _AGAIN_S:
            self._checked_s = elapsed_s
            unserved_s = UNSERVED * elapsed_s
            if rises(self._in_flight, unserved_s * self._rate):
                low, high = self._in_flight[0], self._in_flight[-1]
                self._reason = f"saturated: requests in flight rose steadily, from {low:.0f} to {high:.0f}"
            elif rises(self._ttft_ms, 1000 * unserved_s):
                self._reason = "saturated: the time to first token rose steadily"
        return self._reason
