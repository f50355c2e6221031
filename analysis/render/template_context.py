"""What the templates show: the result turned into rows and sentences. No arithmetic of its own."""

import json
from dataclasses import dataclass
from typing import Any

from analysis.decide.fleet import EXAMPLES, Demand, Fleet, fleets
from analysis.decide.recommendation import Candidate, Choice
from analysis.decide.slo import objective_label
from analysis.decide.trust import accurate_concurrency
from analysis.importers.fmbench.method import Difference, bursts_of, differences, fmbench_level
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.metrics.cost import UTILISATIONS, usd_per_million_tokens, usd_per_request
from analysis.metrics.definitions import started_in
from analysis.render import fmbench_page
from analysis.render.locust_tables import locust_tables
from analysis.render.no_recommendation_text import errors_allowed
from analysis.render.plots.drawing import Drawing
from analysis.render.recommendation_text import answer_lines, answer_notes
from analysis.render.run_facts import run_facts
from analysis.render.step_tables import step_tables
from analysis.render.tables import Cell, Table
from common.formatting import (
    ABSENT,
    count,
    dollars,
    hourly_price,
    limit_percent,
    listed,
    milliseconds,
    number,
    percent,
)

NO_BARRIER = (
    "FMBench waits for a whole burst before it sends the next; this load did not. So at more than one client "
    "this is FMBench's arithmetic on our requests, not what its own load would have measured."
)


@dataclass(frozen=True)
class Extras:
    """What a report holds besides the run itself."""

    demand: Demand | None = None


def view_of(
    result: RunResult, choices: list[Choice], drawings: dict[str, Drawing], extras: Extras
) -> dict[str, Any]:
    """Everything the templates show."""
    return {
        "run": result,
        "choices": choices,
        "answer": answer_lines(result, choices),
        "notes": answer_notes(result, choices),
        "drawings": drawings,
        "marks": marks(result),
        "title": listed(fmbench_page.models_of(result)) or result.run_id,
        "errors_allowed": (
            f"no limit on errors ({errors_allowed(result)})"
            if result.error_rate_slo is None
            else f"errors ≤ {limit_percent(result.error_rate_slo)}"
        ),
        "objectives": [objective_label(o) for o in result.objectives],
        "best_information": {
            c.payload: fmbench_page.information(c.best.experiment, c.best.step)
            for c in choices
            if c.best is not None
        },
        "tiles": [tiles(c.best, several=len(choices) > 1) for c in choices if c.best is not None],
        "sentences": fmbench_page.summary_sentences(result, choices),
        "recommendations": fmbench_page.recommendations(result, choices),
        "cost_rows": fmbench_page.cost_rows(result),
        "cost_bases": fmbench_page.cost_bases(result),
        "total_cost": fmbench_page.total_cost(result),
        "assumed": " (assumed price)" if result.assumed_price else "",
        "facts": run_facts(result),
        "step_tables": {e.name: step_tables(result, e, choices) for e in result.experiments},
        "utilisation": utilisation_rows(result, choices),
        "fleets": fleet_tables(choices, extras.demand),
        "demand": extras.demand,
        "fmbench": fmbench_tables(result, choices),
        "locust_tables": locust_tables(result),
        "compared": all(choice.compared for choice in choices),
        "reconciled": reconciled_table(result),
        "prices": price_rows(result),
        "calibration": calibration_sentence(result),
        "plan_text": json.dumps(result.plan, indent=2, ensure_ascii=False, default=str),
    }


def marks(result: RunResult) -> list[str]:
    """What must stand on every page."""
    said = any("rehearsal" in notice.lower() for notice in result.notices)
    first = (
        ["Rehearsal: a simulated endpoint, no figure here is AWS's."] if result.rehearsal and not said else []
    )
    return first + result.notices


def tiles(best: Candidate, *, several: bool) -> list[tuple[str, str, str]]:
    """The best step's key figures: label, value, note."""
    step, experiment = best.step, best.experiment
    where = f"{experiment.payload}: " if several else ""
    found = [(f"{where}recommended", experiment.deployed, f"at concurrency {step.concurrency}")]
    if step.usd_per_request is not None:
        assumed = "assumed price" if experiment.price.assumption else "at full load"
        found.append(("per 10,000 requests", dollars(step.usd_per_request * 10_000), assumed))
    tokens = step.completion_tokens_per_s
    note = ABSENT if tokens is None else f"{number(tokens)} output tokens/s"
    found.append(("requests per minute", number(step.per_minute), note))
    if best.findings:
        found += [
            (
                f"{f.objective['metric'].upper()} {f.objective['statistic']}",
                f"≤ {f.label.split('≤ ')[1]}" if f.hidden else milliseconds(f.value_ms),
                f"sure from {f.samples} samples" if f.hidden else f"limit {f.label.split('≤ ')[1]}",
            )
            for f in best.findings
        ]
    else:
        found += [
            (m.upper() + " p50", milliseconds(v), "") for m in ("ttft", "e2e") if (v := step.shown(m, "p50"))
        ]
    return found


def utilisation_rows(result: RunResult, choices: list[Choice]) -> list[tuple[str, list[list[str]]]]:
    """Of each experiment's best step, a row per utilisation: dollars per request and per million tokens."""
    rows = []
    for choice in choices:
        for experiment in result.experiments:
            own = [c for c in choice.candidates if c.experiment is experiment and c.passes]
            best = min(own, key=lambda c: c.order, default=None)
            if best is None or experiment.usd_per_hour is None:
                continue
            name = f"{experiment_label(experiment)}, concurrency {best.step.concurrency}"
            rows.append((name, [_prices(best, share) for share in UTILISATIONS]))
    return rows


def _prices(best: Candidate, utilisation: float) -> list[str]:
    usd, instances = best.experiment.usd_per_hour, best.experiment.instance_count
    output, prompt = best.step.completion_tokens_per_s, best.step.prompt_tokens_per_s
    both = output + prompt if output is not None and prompt is not None else None
    request = usd_per_request(usd, instances, best.step.per_minute, utilisation)
    tokens = (usd_per_million_tokens(usd, instances, rate, utilisation) for rate in (output, both))
    return [
        f"{utilisation:.0%}".replace("%", " %"),
        *(dollars(price) for price in (None if request is None else request * 10_000, *tokens)),
    ]


def fleet_tables(choices: list[Choice], demand: Demand | None) -> list[tuple[str, list[Fleet]]]:
    """Per demand and payload, the ways to carry it; three examples when no demand is given."""
    demands = [demand] if demand else [Demand((rate,) * 24) for rate in EXAMPLES]
    tables = []
    for choice in choices:
        for one in demands:
            found = fleets(choice, one)
            if found:
                name = (
                    f"{one.peak:,.10g} requests/min"
                    if len(set(one.per_hour_of_day)) == 1
                    else "24-hour curve"
                )
                tables.append((f"{name}, {choice.payload}" if len(choices) > 1 else name, found))
    return tables


def fmbench_tables(result: RunResult, choices: list[Choice]) -> list[tuple[Table, str]]:
    """FMBench's figures beside the true ones: each payload's best step, every step of an FMBench folder."""
    tables = []
    for experiment in result.experiments:
        for step in experiment.steps:
            if step.window is None or not step.concurrency or not step.window_ok:
                continue
            chosen = any(c.best is not None and step is c.best.members[0] for c in choices)
            if not chosen and result.source != "fmbench":
                continue
            bursts, note = result.fmbench.get(step.id), ""
            if bursts is None:
                note = NO_BARRIER if step.concurrency > 1 else ""
                rows = started_in(result.rows[result.rows["step"] == step.id], step.window)
                bursts = bursts_of(rows, step.concurrency)
            level = fmbench_level(bursts, experiment.usd_per_endpoint_hour)
            if level is not None:
                tables.append((difference_table(step.id, differences(step, level)), note))
    return tables


def reconciled_table(result: RunResult) -> Table | None:
    """Our rows beside Locust's own statistics; None where there is nothing of Locust's."""
    rows = [
        [
            pair.step,
            *(count(n) for n in (pair.rows, pair.locust, pair.failed_rows, pair.locust_failures)),
            milliseconds(pair.mean_ms),
            milliseconds(pair.locust_mean_ms),
            Cell("yes", "met") if pair.agrees else Cell("no", "missed"),
        ]
        for pair in result.reconciled
    ]
    columns = [
        "step",
        "rows",
        "Locust",
        "failed or cut off",
        "Locust failures",
        "mean",
        "Locust mean",
        "agree",
    ]
    return Table("Our records beside Locust's own count", columns, rows, wide=("agree",)) if rows else None


def difference_table(step: str, rows: list[Difference]) -> Table:
    """The true figures before FMBench's, so that a narrow screen shows them first."""
    cells = [[row.name, row.true, row.fmbench, row.reason] for row in rows]
    title = f"What FMBench's method would have printed: {step}"
    return Table(title, ["figure", "true", "FMBench", "why they differ"], cells, wide=("why they differ",))


def price_rows(result: RunResult) -> list[tuple[str, str, str, str]]:
    """Instance, price, source, date; one row per instance."""
    rows: dict[str, tuple[str, str, str, str]] = {}
    for e in result.experiments:
        price = ABSENT if e.usd_per_hour is None else f"{hourly_price(e.usd_per_hour)} per instance-hour"
        if e.price.assumption and e.usd_per_hour is not None:
            price += " (assumed price)"
        rows[e.instance] = (e.instance, price, e.price.source or ABSENT, e.price.as_of or ABSENT)
    return list(rows.values())


def calibration_sentence(result: RunResult) -> str | None:
    """How many streams this load generator measures accurately; None if the machine was not calibrated."""
    limits = accurate_concurrency(result.calibration)
    if not limits:
        return None
    accurate = [f"up to {limit} streams per worker over {name}" for name, limit in limits.items() if limit]
    if not accurate:
        return "Calibration: this machine did not measure a single stream accurately."
    return f"Calibration: this load generator measures accurately {listed(accurate)}."


def describe(step: StepResult) -> list[tuple[str, str]]:
    """What a step's answers were: finish reasons, token counts, speed, gaps, goodput, Little."""
    tokens = [
        f"{name.split('_')[0]} tokens p50 {count(d.percentiles[50])}, {count(d.low)} to {count(d.high)}"
        for name, d in step.tokens.items()
    ]
    ratio = [f"{k} {percent(v / max(1, step.window_ok))}" for k, v in step.finish_reasons.items()]
    sources = [f"{k} {percent(v / max(1, step.window_ok))}" for k, v in step.token_sources.items()]
    return [
        ("lengths", "; ".join(tokens) or ABSENT),
        ("finish reasons", ", ".join(ratio) or ABSENT),
        ("token counts from", ", ".join(sources) or ABSENT),
        (
            "speed per user",
            f"{number(step.user_speed_p50)} tokens/s (median)" if step.user_speed_p50 else ABSENT,
        ),
        ("gap between chunks", f"p50 {milliseconds(step.gap_p50_ms)}, p99 {milliseconds(step.gap_p99_ms)}"),
        ("mean in flight", number(step.in_flight)),
        ("Little's-law residual", ABSENT if step.little is None else f"{100 * step.little:+.1f}%"),
    ]


def experiment_label(experiment: ExperimentResult) -> str:
    """``ml.g5.xlarge, en_1000-2000``."""
    return f"{experiment.deployed}, {experiment.payload}"
