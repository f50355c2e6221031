"""The lengths that steps chose by their figures: a table, a sentence, and ``summary.json``."""

from typing import Any

from analysis.decide.dwell_course import DwellCourse, DwellEnd
from analysis.render.levels import level_value
from analysis.render.tables import Column, Table, numbers, texts
from common.formatting import ABSENT, as_subject, dollars, duration, limit_percent, percent
from configs.dwell import statistic_name

_ENDS: dict[DwellEnd, str] = {
    "reached": "narrow enough",
    "limit": "the longest time was over",
    "saturated": "saturated",
    "interrupted": "interrupted",
}
_COVERAGE = (
    "A measurement that ends as soon as its interval is narrow holds the true value a little less often than "
    "95% of the time; docs/dwell.md has how often."
)


def dwell_table(course: DwellCourse) -> Table:
    """One row per step: how long it warmed up and was measured, what it reached, and why it ended."""
    until = course.until
    columns = [*texts("load"), *numbers("warm-up", "measured")]
    if until is not None:
        columns += [*numbers(f"interval of {statistic_name(until.of)}"), Column("ended", "sentence")]
    columns += numbers("saved")
    rows = []
    for own in course.steps:
        row = [level_value(own.step), duration(own.warm_up_s), duration(own.measured_s)]
        if until is not None:
            row += [ABSENT if own.reach is None else f"±{percent(own.reach)}", _ENDS[own.end]]
        rows.append([*row, duration(own.saved_s)])
    return Table("Length of the steps", columns, rows, note=_note(course), layout="wraps")


def _note(course: DwellCourse) -> str:
    until, warm_up = course.until, course.warm_up
    parts = []
    if warm_up is not None:
        parts.append(f"A warm-up lasts until the load is steady, at most {duration(warm_up.at_most)}.")
    if until is not None:
        parts.append(
            f"A measurement lasts until {statistic_name(until.of)} is known to ±{limit_percent(until.until)} "
            f"(95% interval) and the load is steady, at most {duration(until.at_most)}. {_COVERAGE}"
        )
    return " ".join(parts)


def saving_sentence(course: DwellCourse, deployed: str) -> str | None:
    """What the lengths saved against fixed ones; None where they saved nothing."""
    if course.saved_s < 1:
        return None
    limits = []
    if course.until is not None:
        limits.append(f"measurements of {duration(course.until.at_most)}")
    if course.warm_up is not None:
        limits.append(f"warm-ups of {duration(course.warm_up.at_most)}")
    price = "" if course.saved_usd is None else f" and {dollars(course.saved_usd)}"
    saved = f"{duration(course.saved_s)}{price}"
    fixed = " and ".join(limits)
    return f"{as_subject(deployed)}: steps that ended by their figures saved {saved} against fixed {fixed}."


def dwell_json(course: DwellCourse | None) -> dict[str, Any] | None:
    """The section ``dwell`` of an experiment in ``summary.json``."""
    if course is None:
        return None
    until = course.until
    return {
        "statistic": None if until is None else until.of,
        "until": None if until is None else until.until,
        "at_most_s": None if until is None else until.at_most,
        "warm_up_at_most_s": None if course.warm_up is None else course.warm_up.at_most,
        "saved_s": course.saved_s,
        "saved_usd": course.saved_usd,
        "steps": [
            {
                "step": own.step.id,
                "warm_up_s": own.warm_up_s,
                "measured_s": own.measured_s,
                "reach": own.reach,
                "end": own.end,
            }
            for own in course.steps
        ],
    }
