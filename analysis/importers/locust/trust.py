"""Reasons to doubt a step that was read from Locust's CSV files."""

from analysis.importers.locust.counters import Timeline
from analysis.importers.locust.levels import Level, LevelAmounts
from analysis.measure.results import StepResult
from analysis.metrics.statistics import samples_needed
from common.formatting import duration, number, plural

_SHORT = 3
"""A level of fewer mean response times than this is mostly its own beginning."""
_SILENT = 3
"""Silence at the end of a level that is longer than this many mean response times is not chance."""
_SILENT_S = 5.0
_CROWDED = 1.05


def check_own_step(step: StepResult, run: Timeline, *, mixed: bool) -> None:
    """A step of this suite: its name's row of the statistics, and its rate from the history."""
    if mixed:
        low, high = _range(run)
        step.trust.add(
            "void",
            "users_varied",
            f"the number of users varied ({low} to {high}) while these requests were sent under one name, so "
            "no figure is of one concurrency",
            users_min=low,
            users_max=high,
        )
    _check_source(step, "whole-step averages with warm-up, bucketed percentiles")
    _check_samples(step)


def check_level(step: StepResult, run: Timeline, level: Level, part: LevelAmounts) -> None:
    """A level of a run: was it long enough, did it answer to its end, can its rate be?"""
    e2e = step.latency.get("e2e")
    _check_source(step, "bucketed percentiles of the whole run" if e2e and e2e.bucketed else "no percentiles")
    _check_samples(step)
    resets = int(run.reset[level.first : level.last].sum())
    if resets:
        step.trust.add(
            "warn",
            "locust_statistics_reset",
            f"Locust's statistics were reset {plural(resets, 'time')}; those seconds are left out",
            resets=resets,
        )
    if part.mean_ms is not None:
        _check_length(step, level, part, part.mean_ms / 1000)


def _check_length(step: StepResult, level: Level, part: LevelAmounts, mean_s: float) -> None:
    if part.seconds < _SHORT * mean_s:
        step.trust.add(
            "warn",
            "short_level",
            f"the level held for {duration(part.seconds)}, less than {_SHORT} mean response times "
            f"({duration(mean_s)}): its rate depends on when it began",
            held_s=part.seconds,
            mean_s=mean_s,
        )
    if part.silent_s > max(_SILENT_S, _SILENT * mean_s):
        step.trust.add(
            "warn",
            "silent_end",
            f"nothing was answered in the last {duration(part.silent_s)} of the level, "
            "which the rate leaves out",
            silent_s=part.silent_s,
        )
    in_flight = part.requests / part.seconds * mean_s
    if in_flight > _CROWDED * (level.users + 1):
        step.trust.add(
            "warn",
            "more_in_flight_than_users",
            f"by Little's law {number(in_flight)} requests were in flight for {plural(level.users, 'user')}: "
            "either users send several at once, or some rows are not requests",
            in_flight=in_flight,
            users=level.users,
        )


def check_whole_run(step: StepResult, run: Timeline | None, level: Level | None) -> None:
    """The whole run as one step: its rate and its response times are means over the ramp, too."""
    _check_source(step, "means over the whole run with its ramp, bucketed percentiles")
    _check_samples(step)
    if level is None and run is not None and (run.users > 0).any():
        low, high = _range(run)
        step.trust.add(
            "warn",
            "users_varied",
            f"the number of users varied from {low} to {high} meanwhile",
            users_min=low,
            users_max=high,
        )


def _range(run: Timeline) -> tuple[int, int]:
    users = run.users[run.users > 0]
    return int(users.min()), int(users.max())


def _check_source(step: StepResult, what: str) -> None:
    step.trust.add("warn", "locust_figures_only", f"Locust's figures alone: {what}")


def _check_samples(step: StepResult) -> None:
    needed = samples_needed(50)
    if step.window_counts.ok < needed:
        step.trust.add(
            "void",
            "too_few_samples",
            f"only {plural(step.window_counts.ok, 'answered request')}: a rate needs at least {needed}",
            samples=step.window_counts.ok,
            needed=needed,
        )
