"""docs/metrics.md, made from the docstrings of the functions that compute the figures.

python -m analysis.metrics_doc > docs/metrics.md
"""

import inspect
import sys
from collections.abc import Callable
from typing import Any

from analysis.decide import fleet, repetitions, slo, trust
from analysis.decide.compare import THRESHOLD
from analysis.decide.trust_stationary import DRIFT, SHIFT_ERRORS
from analysis.decide.trust_workers import CPU_BUSY
from analysis.importers.fmbench import bursts, echo, experiments, method
from analysis.metrics import changes, conversations, cost, definitions, in_flight, statistics
from runfolder.percentiles import percentile

SECTIONS: tuple[tuple[str, tuple[Callable[..., Any], ...]], ...] = (
    (
        "Latency",
        (
            definitions.ttft_ms,
            definitions.ttfo_ms,
            definitions.tpot_ms,
            definitions.user_tokens_per_s,
            definitions.gap_percentile_ms,
            definitions.stream_spread,
            definitions.e2e_ms,
            definitions.elapsed_ms,
            definitions.schedule_delay_ms,
        ),
    ),
    (
        "Throughput",
        (
            definitions.completions,
            definitions.requests_per_minute,
            definitions.completion_tokens_in,
            definitions.completion_tokens_per_s,
            definitions.prompt_tokens_per_s,
            definitions.goodput,
            conversations.completed_turns,
            conversations.conversations_per_minute,
        ),
    ),
    (
        "Errors and load",
        (
            definitions.error_rate,
            definitions.error_classes,
            in_flight.mean_in_flight,
            in_flight.least_in_flight,
            in_flight.little_residual,
            in_flight.most_per_minute,
            conversations.session_share,
        ),
    ),
    (
        "Cost",
        (
            cost.usd_per_request,
            cost.usd_per_million_tokens,
            cost.usd_per_conversation,
            cost.usd_per_request_of_part,
            cost.cost_per_request,
            cost.run_cost,
            fleet.fleet_of,
        ),
    ),
    (
        "Statistics",
        (
            definitions.started_in,
            percentile,
            statistics.samples_needed,
            statistics.cosine_projections,
            statistics.effective_samples,
            statistics.percentile_interval,
            statistics.ratio_interval,
            statistics.share_interval,
            statistics.simulate_totals,
            changes.change_at,
            changes.level_shift,
            repetitions.pool,
            slo.check_objective,
        ),
    ),
    ("FMBench's method", (method.fmbench_level, method.bursts_of)),
    (
        "FMBench's folders",
        (
            bursts.burst_seconds,
            bursts.measure_bursts,
            echo.find_echo,
            echo.counts_follow,
            experiments.share_bills,
        ),
    ),
)
_FIELDS = ("Formula:", "Unit:", "Source:")
_INTRODUCTION = """# Metrics

Made from the docstrings of `analysis/` by `python -m analysis.metrics_doc`; a test holds the two together.

Latency is of answered requests that **started** inside the measure window; throughput is what **happened**
inside it. What was not measured is absent, never zero.
In closed loop all clocks start when the request is handed to the socket; in open loop, when it arrives.
"""


def document() -> str:
    """The whole of docs/metrics.md."""
    parts = [_INTRODUCTION]
    for title, functions in SECTIONS:
        parts.append(f"## {title}\n")
        parts += [_entry(function) for function in functions]
    parts.append("## Trust\n")
    parts.append(
        "A step passes, warns or is void. A void step is shown, greyed, and cannot be recommended.\n"
    )
    parts += [f"- **{_title(check)}**: {_first_line(check)}" for check in trust.CHECKS]
    parts.append(
        f"\nBounds: in flight more than {trust.LITTLE_WARN:.0%} below the target warns, "
        f"{trust.UNDERLOAD_VOID:.0%} voids; a core {CPU_BUSY:.0f}% busy warns; drifts count above "
        f"{DRIFT:.0%} and what noise reaches once in 370 times, level shifts above {DRIFT:.0%} and "
        f"{SHIFT_ERRORS:.0f} standard errors; "
        f"more than {trust.CENSORED_VOID:.0%} cut off voids. "
        f"In comparisons a change counts above {THRESHOLD:.0%} and beyond its interval.\n"
    )
    return "\n".join(parts)


def _entry(function: Callable[..., Any]) -> str:
    """One function's heading and docstring; Args, Returns and Raises are for programmers and stay there."""
    text = inspect.getdoc(function) or ""
    lines = text.split("\n\n")
    kept = [part for part in lines if not part.startswith(("Args:", "Raises:", "Returns:"))]
    body = "\n\n".join(_bold(part) for part in kept)
    return f"### `{function.__name__}`\n\n{body}\n"


def _bold(part: str) -> str:
    """Formula, unit and source as a list."""
    lines = [line.strip() for line in part.splitlines()]
    if not any(line.startswith(_FIELDS) for line in lines):
        return "\n".join(lines)
    shown: list[str] = []
    for line in lines:
        field = next((name for name in _FIELDS if line.startswith(name)), None)
        shown.append(f"- **{field[:-1]}**{line[len(field) - 1 :]}" if field else f"  {line}")
    return "\n".join(shown)


def _title(check: Callable[..., Any]) -> str:
    return check.__name__.removeprefix("check_")


def _first_line(check: Callable[..., Any]) -> str:
    return (inspect.getdoc(check) or "").splitlines()[0]


if __name__ == "__main__":
    sys.stdout.write(document())
