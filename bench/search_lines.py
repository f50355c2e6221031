"""What the terminal says about a search."""

from analysis.decide.search.course import Course
from analysis.decide.search.levels import LevelState
from analysis.decide.search.method import End
from common.formatting import duration
from runfolder.records import StepRow

_WHY = {
    "decided": "decided",
    "time": "measured for load.measure",
    "limit": "the search is out of time",
    "spoilt": "spoilt, because the load was disturbed",
    "saturated": "saturated",
    "not_reached": "the load is not reached",
    "void": "void",
}
_ENDS = {
    "found": "the bracket is closed",
    "all_met": "the highest level meets the SLO",
    "none_met": "the lowest level misses the SLO",
    "out_of_reach": "a level could not be judged",
    "time_limit": "its time is over",
    "beaten": "another instance type has a better price",
}


def level_of(row: StepRow, arrivals: str) -> str:
    """``24 users``, ``3.5 requests/s``, ``3.5 conversations/s``."""
    if row.rate is not None:
        return f"{row.rate:g} {arrivals}/s"
    return f"{row.concurrency} user{'' if row.concurrency == 1 else 's'}"


def _doing(row: StepRow) -> str:
    return "confirming" if row.purpose == "confirmation" else "probing"


def line_of_wait(row: StepRow, arrivals: str, seconds: float) -> str:
    """``probing 24 users: undecided, 40 s more``. ``arrivals``: ``requests`` or ``conversations``."""
    return f"{_doing(row)} {level_of(row, arrivals)}: undecided, {max(1, round(seconds))} s more"


def line_of_close(row: StepRow, arrivals: str, why: str) -> str:
    """``probing 24 users: decided``. ``arrivals``: ``requests`` or ``conversations``."""
    return f"{_doing(row)} {level_of(row, arrivals)}: {_WHY[why]}"


def _unsure(state: LevelState) -> str:
    return "" if state.sure else " (not certain)"


def line_at_end(course: Course) -> str:
    """Why the search ends, and the bracket that it found."""
    low, high = course.bracket.low, course.bracket.high
    ends = [f"met at {low.level:g}{_unsure(low)}"] if low is not None else []
    ends += [f"missed at {high.level:g}{_unsure(high)}"] if high is not None else []
    found = ", ".join(ends) or "nothing was measured"
    why = f"{_ENDS[course.move.code]}; " if isinstance(course.move, End) else ""
    return f"search ended after {duration(course.spent_s)}: {why}{found}"
