"""What the terminal says about warm-ups and measurements that have no fixed length."""

from analysis.decide.dwell import Look
from common.formatting import duration, limit_percent, percent
from configs.dwell import MeasureUntil, statistic_name
from runfolder.records import StepRow


def line_of_warm_up(row: StepRow, seconds: float) -> str:
    """``c8: steady after 12 s of warm-up``."""
    return f"{_name(row)}: steady after {duration(seconds)} of warm-up"


def line_of_look(row: StepRow, until: MeasureUntil, look: Look) -> str:
    """``c8: E2E p95 known to ±8.3% after 45 s, ±5% is asked for``."""
    why = "" if look.steady else "; the load is not steady"
    asked = f"±{limit_percent(until.until)} is asked for"
    return f"{_name(row)}: {_known(until, look)} after {duration(look.seconds)}, {asked}{why}"


def line_of_close(row: StepRow, until: MeasureUntil, look: Look) -> str:
    """``c8: E2E p95 known to ±4.6% after 2 min: measured enough``."""
    return f"{_name(row)}: {_known(until, look)} after {duration(look.seconds)}: measured enough"


def _known(until: MeasureUntil, look: Look) -> str:
    name = statistic_name(until.of)
    return f"{name} not known yet" if look.reach is None else f"{name} known to ±{percent(look.reach)}"


def _name(row: StepRow) -> str:
    return row.step.rpartition("/")[2]
