"""Whether an endpoint keeps up with the arrivals, as far as the numbers in flight tell."""

from runfolder.trend import rises

_SAMPLE_S = 0.5
_LEAST_S = 20.0
_LEAST_SHARE = 0.4
_AGAIN_S = 5.0


class SaturationCheck:
    """Looks at the requests in flight since the window opened.

    Args:
        measure_s: the planned length of the window in seconds.
    """

    def __init__(self, measure_s: float) -> None:
        self._in_flight: list[float] = []
        self._first_s = max(_LEAST_SHARE * measure_s, min(_LEAST_S, measure_s))
        self._checked_s = 0.0
        self._reason: str | None = None

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
            if rises(self._in_flight):
                low, high = self._in_flight[0], self._in_flight[-1]
                self._reason = f"saturated: requests in flight rose steadily, from {low:.0f} to {high:.0f}"
        return self._reason
