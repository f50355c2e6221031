"""A report from Locust's own CSV files, ours or anybody's.

Rows of the statistics are methods and names of one run: they share its users and its instance. Levels are
found in the user count over time. Locust rounds response times into buckets (up to 4.8% off), knows no
tokens, and writes whole-run percentiles: what cannot be known stays absent, with the reason.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis.importers.command_line_prices import Prices
from analysis.importers.locust.counters import TOTAL, Amounts, Timeline, timeline
from analysis.importers.locust.distributions import (
    entry_distribution,
    mean_alone,
    weighted_mean,
    whole_run_distribution,
)
from analysis.importers.locust.entries import (
    exceptions_of,
    failing_names,
    look_like_measures,
    read_entries,
)
from analysis.importers.locust.files import LocustFiles, read_locust_files
from analysis.importers.locust.levels import (
    Level,
    LevelAmounts,
    covers,
    levels,
    main_level,
    measure,
    one_after_the_other,
)
from analysis.importers.locust.trust import check_level, check_own_step, check_whole_run
from analysis.measure.distribution import Distribution
from analysis.measure.locust_run import LocustEntry, LocustRun
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.measure.step_parts import Counts, Errors, Throughput
from analysis.measure.step_window import step_cost
from analysis.metrics.cost import Span, run_cost
from analysis.metrics.definitions import Window
from common.formatting import plural
from runfolder.manifest import Notice
from runfolder.records import REQUEST_COLUMNS, WORKER_COLUMNS

_OURS = re.compile(r"^(.+)/([^/]+)/c(\d+)(?:#\d+)?$")
_STREAMED = {"TTFT": "ttft", "TPOT": "tpot"}
LIMITS = (
    "Read from Locust's CSV files alone: percentiles come from rounded buckets (up to 4.8% off) and include "
    "failed requests and warm-up; tokens and intervals cannot be known, nor TTFT and TPOT unless the users "
    "kept them; requests in flight at the end are missing."
)


def load_locust(prefix: Path, prices: Prices = Prices()) -> RunResult:  # noqa: B008 - frozen
    """Read ``PREFIX_stats.csv`` and, where they exist, ``_stats_history``, ``_failures`` and ``_exceptions``.

    Raises:
        UserError: there are no files of that prefix, they are not Locust's, or ``prices`` do not fit them.
    """
    files = read_locust_files(prefix)
    run = timeline(files.history)
    entries = read_entries(files)
    requests = [entry for entry in entries if not entry.is_measure]
    measures = [entry for entry in entries if entry.is_measure]
    steps, whole_run = _own_steps(requests, measures, run), False
    if not steps:
        steps = _level_steps(prefix.name, requests, measures, run, files)
    if not steps and any(entry.count for entry in requests):
        steps, whole_run = [_whole_run_step(prefix.name, requests, measures, run, files)], True
    started, ended = (None, None) if run is None else (float(run.at[0]), float(run.at[-1]))
    experiments = _experiments(steps, prefix.name, prices, (started, ended))
    levels_measured = {(step.experiment, step.concurrency) for step in steps if step.usable}
    problems = files.problems + _problems(requests, measures, run, whole_run=whole_run)
    if len(levels_measured) > 1:  # otherwise the answer names them
        problems += failing_names(requests)
    return RunResult(
        run_id=prefix.name,
        plan={"name": prefix.name},
        notices=[Notice(kind="locust_files", text=LIMITS)],
        rehearsal=False,
        state="complete",
        started_at=started,
        ended_at=ended,
        experiments=experiments,
        problems=problems,
        objectives=(),
        error_rate_slo=None,
        rows=pd.DataFrame(columns=list(REQUEST_COLUMNS)),
        workers=pd.DataFrame(columns=list(WORKER_COLUMNS)),
        cloudwatch=pd.DataFrame(),
        source="locust",
        locust=LocustRun(
            requests=requests,
            measures=measures,
            exceptions=exceptions_of(files),
            resets=0 if run is None else int(run.reset.sum()),
            several_levels=len(levels_measured) > 1,
            whole_run=whole_run,
        ),
    )


def _problems(
    requests: list[LocustEntry], measures: list[LocustEntry], run: Timeline | None, *, whole_run: bool
) -> list[str]:
    problems = []
    if not any(entry.count for entry in requests):
        problems.append("The statistics hold no request.")
    if whole_run and run is not None:
        problems.append(_why_no_level(run, measures))
    if run is not None and run.reset.any():
        problems.append(
            f"Locust's statistics were reset {int(run.reset.sum())} time(s) during the run: the tables by "
            "method and name cover what came after the last reset, the levels all of it."
        )
    if (sentence := look_like_measures(requests)) is not None:
        problems.append(sentence)
    return problems


def _why_no_level(run: Timeline, measures: list[LocustEntry]) -> str:
    if run.names or not measures:
        return "The number of users never held while requests were answered: no level can be told."
    return (
        "The history has no rows by name, and its sum holds the measures too: "
        "run Locust with --csv-full-history to know each level."
    )


def _own_steps(
    requests: list[LocustEntry], measures: list[LocustEntry], run: Timeline | None
) -> list[StepResult]:
    """The steps of a run of this suite, one per name; none unless the history agrees with the names.

    It agrees when one name at a time was sent, each while as many users ran as its name says.
    """
    named = [(entry, match) for entry in requests if (match := _OURS.match(entry.name))]
    if run is None or not named or len(named) < len(requests):
        return []
    amounts = {entry.key: run.amounts[entry.key] for entry, _ in named if entry.key in run.amounts}
    if len(amounts) < len(named) or not one_after_the_other(run, amounts):
        return []
    steps = []
    for ordinal, (entry, match) in enumerate(named):
        own = amounts[entry.key]
        level = main_level(run, own)
        if level is None or level.users != int(match[3]):
            return []
        latency = {"e2e": entry_distribution(entry)}
        for streamed in measures:
            if streamed.name == entry.name and streamed.method in _STREAMED:
                latency[_STREAMED[streamed.method]] = entry_distribution(streamed)
        step = StepResult(entry.name, f"{match[1]}/{match[2]}", ordinal, level.users, "complete")
        step = _with_requests(step, _counts([entry]), _classes([entry]))
        step = _with_latency(_with_rate(step, measure(run, own, level)), latency)
        check_own_step(step, run, mixed=not covers(run, own, level))
        steps.append(step)
    return steps


def _level_steps(
    prefix: str,
    requests: list[LocustEntry],
    measures: list[LocustEntry],
    run: Timeline | None,
    files: LocustFiles,
) -> list[StepResult]:
    """One step per level, over all names; none where the history does not tell the sum of the requests."""
    amounts = None if run is None else _request_amounts(run, requests, measures)
    if run is None or amounts is None:
        return []
    found = [(level, part) for level in levels(run, amounts) if (part := measure(run, amounts, level))]
    alone = len(found) == 1 and covers(run, amounts, found[0][0]) and not run.reset.any()
    steps: list[StepResult] = []
    for ordinal, (level, part) in enumerate(found):
        repetition = 1 + sum(step.concurrency == level.users for step in steps)
        name = f"{prefix}/{plural(level.users, 'user')}" + (f"#{repetition}" if repetition > 1 else "")
        counts = _counts(requests) if alone else Counts(ok=part.ok, failed=part.failures)
        classes = _classes(requests) if len(found) == 1 else {}
        whole = whole_run_distribution(requests, measures, files) if len(found) == 1 else None
        usable = covers(run, amounts, level) and whole is not None
        step = StepResult(name, prefix, ordinal, level.users, "complete", repetition)
        step = _with_requests(step, counts, classes)
        step = _with_latency(_with_rate(step, part), {"e2e": whole if usable else mean_alone(part)})
        check_level(step, run, level, part)
        steps.append(step)
        _rate_by_name(requests, run, step, part)
    return steps


def _request_amounts(
    run: Timeline, requests: list[LocustEntry], measures: list[LocustEntry]
) -> Amounts | None:
    """All requests over time: the sum of their names, or the aggregate where it holds nothing else."""
    by_name = run.added(entry.key for entry in requests)
    return by_name if by_name is not None or measures else run.amounts.get(TOTAL)


def _rate_by_name(requests: list[LocustEntry], run: Timeline, step: StepResult, part: LevelAmounts) -> None:
    """Each name's rate over the same seconds as the level's, so that they add up to it."""
    for entry in requests:
        if entry.key in run.amounts:
            own = run.amounts[entry.key]
            ok = own.requests[part.intervals].sum() - own.failures[part.intervals].sum()
            entry.per_minute_by_step[step.id] = 60 * float(ok) / part.seconds


def _whole_run_step(
    prefix: str,
    requests: list[LocustEntry],
    measures: list[LocustEntry],
    run: Timeline | None,
    files: LocustFiles,
) -> StepResult:
    """The whole run as one step: what the rows of the statistics say, means over the ramp."""
    level = _only_level(run)
    rates = [entry.per_minute for entry in requests if entry.count]
    known = [rate for rate in rates if rate is not None]
    window = None if run is None else Window(float(run.at[0]), float(run.at[-1]))
    users = None if level is None else level.users
    step = replace(
        _with_requests(
            StepResult(prefix, prefix, 0, users, "complete"), _counts(requests), _classes(requests)
        ),
        window=window,
        seconds=None if window is None else window.seconds,
        throughput=Throughput(per_minute=sum(known) if len(known) == len(rates) else None),
    )
    whole = whole_run_distribution(requests, measures, files) or weighted_mean(requests)
    step = _with_latency(step, {"e2e": whole})
    check_whole_run(step, run, level)
    return step


def _only_level(run: Timeline | None) -> Level | None:
    """The number of users at which nearly everything happened, measures counted; None where there is none."""
    amounts = None if run is None else run.amounts.get(TOTAL)
    if run is None or amounts is None:
        return None
    level = main_level(run, amounts)
    return level if level is not None and covers(run, amounts, level) else None


def _with_requests(step: StepResult, counts: Counts, classes: dict[str, int]) -> StepResult:
    """All requests count as measured: Locust's files do not tell the warm-up from the rest."""
    errors = Errors(counts.error_rate, classes)
    return replace(step, window_counts=counts, step_counts=counts, errors=errors)


def _counts(requests: list[LocustEntry]) -> Counts:
    return Counts(ok=sum(entry.ok for entry in requests), failed=sum(entry.failed for entry in requests))


def _classes(requests: list[LocustEntry]) -> dict[str, int]:
    """Failed requests by error, the most frequent first."""
    classes = sum((Counter(entry.errors) for entry in requests), Counter[str]())
    return {error[:80]: count for error, count in classes.most_common()}


def _with_rate(step: StepResult, part: LevelAmounts | None) -> StepResult:
    if part is None:
        return step
    throughput = Throughput(completions=part.ok, per_minute=part.per_minute)
    return replace(step, window=part.window, seconds=part.seconds, throughput=throughput)


def _with_latency(step: StepResult, latency: Mapping[str, Distribution | None]) -> StepResult:
    return replace(step, latency={name: d for name, d in latency.items() if d is not None})


def _experiments(steps: list[StepResult], run: str, prices: Prices, load: Span) -> list[ExperimentResult]:
    """Steps of this suite name instance and payload; all others belong to one experiment, the run."""
    experiments: dict[str, ExperimentResult] = {}
    whole = load if len({step.experiment for step in steps}) == 1 else (None, None)
    for step in steps:
        match = _OURS.match(step.id)
        instance, payload = (match[1], match[2]) if match else (run, "unknown")
        experiment = experiments.setdefault(
            step.experiment,
            ExperimentResult(
                name=step.experiment,
                model=run,
                instance_type=instance,
                instance=instance,
                instance_count=1,
                payload=payload,
                payload_file=payload,
                price=prices.quote(instance),
                steps=[],
                state="complete",
                cost=run_cost(
                    prices.quote(instance).usd_per_hour,
                    1,
                    created=None,
                    in_service=None,
                    load=whole,
                    deleted=None,
                ),
            ),
        )
        cost = step_cost(step.throughput, experiment.usd_per_hour, experiment.instance_count)
        experiment.steps.append(replace(step, cost=cost))
    if experiments:
        prices.check(experiment.instance_type for experiment in experiments.values())
    return list(experiments.values())
