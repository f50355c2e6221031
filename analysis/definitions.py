"""docs/metrics.md, made from the docstrings of the functions that compute the figures.

python -m analysis.definitions > docs/metrics.md
"""

import inspect
import sys
from collections.abc import Callable
from typing import Any

from analysis import (
    cost,
    fleet,
    fmbench,
    fmbench_bursts,
    fmbench_echo,
    fmbench_experiments,
    metrics,
    objectives,
    repetitions,
    sampling,
    trust,
)
from analysis.compare import THRESHOLD
from runfolder.percentiles import percentile

SECTIONS: tuple[tuple[str, tuple[Callable[..., Any], ...]], ...] = (
    (
        "Latency",
        (
            metrics.ttft_ms,
            metrics.ttfo_ms,
            metrics.tpot_ms,
            metrics.user_tokens_per_s,
            metrics.gap_percentile_ms,
            metrics.e2e_ms,
            metrics.elapsed_ms,
        ),
    ),
    (
        "Throughput",
        (
            metrics.completions,
            metrics.requests_per_minute,
            metrics.completion_tokens_in,
            metrics.completion_tokens_per_s,
            metrics.prompt_tokens_per_s,
            metrics.goodput,
        ),
    ),
    (
        "Errors and load",
        (
            metrics.error_rate,
            metrics.error_classes,
            metrics.mean_in_flight,
            metrics.least_in_flight,
            metrics.little_residual,
            metrics.most_per_minute,
        ),
    ),
    ("Cost", (cost.usd_per_request, cost.usd_per_million_tokens, cost.run_cost, fleet.fleet_of)),
    (
        "Statistics",
        (
            metrics.started_in,
            percentile,
            sampling.samples_needed,
            sampling.cosine_terms,
            sampling.effective_samples,
            sampling.percentile_interval,
            sampling.ratio_interval,
            sampling.share_interval,
            sampling.drawn_totals,
            repetitions.pool,
            objectives.judge_one,
        ),
    ),
    ("FMBench's method", (fmbench.fmbench_level, fmbench.bursts_of)),
    (
        "FMBench's folders",
        (
            fmbench_bursts.burst_seconds,
            fmbench_bursts.measure_bursts,
            fmbench_echo.find_echo,
            fmbench_echo.counts_follow,
            fmbench_experiments.share_bills,
        ),
    ),
)
_FIELDS = ("Formula:", "Unit:", "Source:")
_INTRODUCTION = """# Metrics

Made from the docstrings of `analysis/` by `python -m analysis.definitions`; a test holds the two together.

Latency is of answered requests that **started** inside the measure window; throughput is what **happened**
inside it. What was not measured is absent, never zero.
All clocks start when the request is handed to the socket.
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
        f"{trust.LITTLE_VOID:.0%} voids; a core {trust.CPU_BUSY:.0f} % busy warns; drifts count above "
        f"{trust.DRIFT:.0%} and what noise reaches once in 370 times; "
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
