"""The section "Every step": for each experiment its tables, what is wrong with its steps, their details."""

from dataclasses import dataclass

from analysis.decide.recommendation import Choice
from analysis.measure.results import RunResult, StepResult
from analysis.metrics.statistics import samples_needed
from analysis.render.cost_tables import experiment_label
from analysis.render.length_facts import asked_lengths_text
from analysis.render.levels import level_value
from analysis.render.step_tables import step_tables
from analysis.render.tables import Table
from common.formatting import ABSENT, count, listed, milliseconds, number, percent


@dataclass(frozen=True)
class StepNote:
    """What is wrong with one step."""

    load: str
    level: str
    """``warn`` or ``void``."""
    reasons: str


@dataclass(frozen=True)
class StepDetails:
    """Name and value of the lesser figures of one step."""

    load: str
    facts: list[tuple[str, str]]


@dataclass(frozen=True)
class ExperimentSection:
    """All that the section shows of one experiment."""

    title: str
    error: str | None
    tables: list[Table]
    notes: list[StepNote]
    details: list[StepDetails]


def experiment_sections(result: RunResult, choices: list[Choice]) -> list[ExperimentSection]:
    """One section per experiment, in the order in which they ran."""
    return [
        ExperimentSection(
            experiment_label(experiment),
            experiment.error,
            step_tables(result, experiment, choices),
            [
                StepNote(level_value(step), step.trust.level, "; ".join(step.trust.texts))
                for step in experiment.steps
                if step.trust.reasons
            ],
            [StepDetails(level_value(step), _facts(step)) for step in experiment.steps if step.window],
        )
        for experiment in result.experiments
    ]


def steps_intro(result: RunResult) -> str:
    """How to read the tables of the steps."""
    basis = (
        "Latency is that of the requests that started in the measure window. Throughput is what happened "
        "inside it."
    )
    if result.locust is not None:
        basis = (
            "A level is a constant number of users. Its throughput is counted from its first answer to its "
            "last. Response times are those of the whole run if nearly all of it was one level, else the "
            "level's mean. They include failed requests."
        )
    needed = listed([f"p{p} needs {samples_needed(p)}" for p in (95, 99)])
    return (
        f"{basis} A percentile is shown only with enough samples: {needed}. An en dash means “not measured” "
        "or “too few samples”. Void steps are gray and cannot be recommended."
    )


def _facts(step: StepResult) -> list[tuple[str, str]]:
    """Lengths, finish reasons, token counts, speed, gaps and Little's law."""
    tokens = [
        f"{label} tokens p50 {count(d.percentiles[50])}, {count(d.low)} to {count(d.high)}"
        for name, label in (("prompt_tokens", "prompt"), ("completion_tokens", "completion"))
        if (d := step.tokens.get(name)) is not None
    ]
    answers = max(1, step.window_counts.ok)
    finished = [f"{k} {percent(v / answers)}" for k, v in step.provenance.finish_reasons.items()]
    sources = [f"{k} {percent(v / answers)}" for k, v in step.provenance.token_sources.items()]
    streaming, residual = step.streaming, step.in_flight.little_residual
    speed = streaming.tokens_per_s_p50
    return [
        ("lengths", "; ".join(tokens) or ABSENT),
        *([("asked lengths", asked)] if (asked := asked_lengths_text(step)) else []),
        ("finish reasons", ", ".join(finished) or ABSENT),
        ("token counts from", ", ".join(sources) or ABSENT),
        ("speed per user", f"{number(speed)} tokens/s (median)" if speed else ABSENT),
        (
            "gap between chunks",
            f"p50 {milliseconds(streaming.gap_p50_ms)}, p99 {milliseconds(streaming.gap_p99_ms)}",
        ),
        ("mean in flight", number(step.in_flight.mean)),
        (
            "Little's-law residual",
            ABSENT if residual is None else f"{100 * residual:+.1f}%",
        ),
    ]
