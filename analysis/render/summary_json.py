"""``summary.json`` and ``summary.csv``: the figures of the report for programs. null is "not measured"."""

from dataclasses import asdict
from typing import Any

import pandas as pd

from analysis.decide.dwell_course import dwell_of
from analysis.decide.fleet import FleetPlan
from analysis.decide.recommendation import Candidate, Choice, candidates_by_step
from analysis.decide.saturation import saving_of
from analysis.decide.utilisation import UtilisationPrice
from analysis.measure.distribution import CERTIFIED, Distribution
from analysis.measure.mix_parts import PartFacts
from analysis.measure.results import LATENCIES, ExperimentResult, RunResult, StepResult
from analysis.metrics.statistics import PERCENTILES
from analysis.render.dwell_tables import dwell_json
from analysis.render.locust_tables import locust_data
from analysis.render.report_figures import ReportFigures
from analysis.render.search_json import search_json
from common.formatting import utc

FORMAT = 2
"""2: trust reasons are objects with a code, and fleets and policies are included; 1 had sentences."""


def summary(
    result: RunResult,
    figures: ReportFigures,
    answer: str,
) -> dict[str, Any]:
    """The whole report as data.

    ``requests_ok`` and ``requests_failed`` of a step are of the requests that started in its measure window;
    ``whole_step`` counts every request of the step. Percentiles on too few samples are null.
    """
    judged = candidates_by_step(figures.choices)
    return {
        "format": FORMAT,
        "run": {
            "id": result.run_id,
            "plan": result.plan.get("name"),
            "state": result.state,
            "source": result.source,
            "rehearsal": result.rehearsal,
            "notices": [notice.text for notice in result.notices],
            "notice_kinds": [notice.kind for notice in result.notices],
            "started_at": utc(result.started_at),
            "ended_at": utc(result.ended_at),
            "slo": {
                "objectives": [o.model_dump() for o in result.objectives],
                "error_rate": result.error_rate_slo,
            },
            "problems": result.problems,
        },
        "answer": answer,
        "choices": [_choice(choice) for choice in figures.choices],
        "experiments": [_experiment(result, experiment, judged) for experiment in result.experiments],
        "fleets": [_fleet_plan(plan) for plan in figures.fleets],
        "policies": figures.policies,
        "utilisation_prices": [_utilisation_price(price) for price in figures.utilisation],
        "fmbench": [asdict(comparison) for comparison in figures.fmbench],
        "locust": None if result.locust is None else locust_data(result.locust),
    }


def _utilisation_price(price: UtilisationPrice) -> dict[str, Any]:
    return {
        "experiment": price.candidate.experiment.name,
        "step": price.candidate.step.id,
        "utilisation": price.utilisation,
        "usd_per_request": price.usd_per_request,
        "usd_per_million_output_tokens": price.usd_per_million_output,
        "usd_per_million_tokens": price.usd_per_million_total,
    }


def _fleet_plan(plan: FleetPlan) -> dict[str, Any]:
    return {
        "payload": plan.payload,
        "peak_requests_per_minute": plan.demand.peak,
        "requests_per_minute_by_hour": list(plan.demand.per_hour_of_day),
        "fleets": [
            {
                "experiment": fleet.candidate.experiment.name,
                "step": fleet.candidate.step.id,
                "requests_per_minute_per_instance": fleet.per_instance,
                "instances": fleet.instances,
                "spare": fleet.spare,
                "utilisation": fleet.utilisation,
                "usd_per_month": fleet.usd_per_month,
                "usd_per_month_scaled_hourly": fleet.usd_per_month_scaled,
                "usd_per_request": fleet.usd_per_request,
            }
            for fleet in plan.fleets
        ],
    }


def summary_frame(result: RunResult) -> pd.DataFrame:
    """One row per step, flat, for spreadsheets."""
    rows = []
    for experiment in result.experiments:
        for step in experiment.steps:
            row: dict[str, Any] = {
                "experiment": experiment.name,
                "instance_type": experiment.instance_type,
                "payload": experiment.payload,
                "step": step.id,
            }
            for key, value in _step(step, None).items():
                if isinstance(value, dict):
                    row |= {
                        f"{key}_{name}": inner for name, inner in value.items() if not isinstance(inner, dict)
                    }
                elif not isinstance(value, list):
                    row[key] = value
            row["trust"] = step.trust.level
            row["trust_reasons"] = "; ".join(step.trust.texts)
            row["trust_codes"] = " ".join(step.trust.codes)
            rows.append(row)
    return pd.DataFrame(rows)


def _experiment(
    result: RunResult, experiment: ExperimentResult, judged: dict[str, Candidate]
) -> dict[str, Any]:
    cost, saving = experiment.cost, saving_of(experiment, result.plan)
    return {
        "name": experiment.name,
        "model": experiment.model,
        "instance_type": experiment.instance_type,
        "instance_label": experiment.instance,
        "instance_count": experiment.instance_count,
        "payload": experiment.payload,
        "payload_file": experiment.payload_file,
        "made_prompts": experiment.made_prompts.model_dump() if experiment.made_prompts else None,
        "state": experiment.state,
        "error": experiment.error,
        "price": {
            "usd_per_hour": experiment.price.usd_per_hour,
            "source": experiment.price.source,
            "as_of": experiment.price.as_of,
            "assumption": experiment.price.assumption,
        },
        "cost": {
            "duration_s": cost.total_s,
            "boot_s": cost.boot_s,
            "load_s": cost.load_s,
            "idle_s": cost.idle_s,
            "usd": cost.usd,
            "basis": cost.basis,
        },
        "saturation": None
        if saving is None
        else {
            "step": saving.saturated.id,
            "left_out": saving.left_out,
            "saved_s": saving.seconds,
            "saved_usd": saving.usd,
        },
        "dwell": dwell_json(dwell_of(experiment, result.plan)),
        "search": search_json(experiment, result),
        "steps": [_step(step, judged.get(step.id)) for step in experiment.steps],
    }


def _step(step: StepResult, judged: Candidate | None) -> dict[str, Any]:
    latency = {f"{name}_ms": _distribution(step.latency.get(name)) for name in LATENCIES}
    rate, price = step.throughput.per_minute_interval, step.cost.per_request_interval
    return {
        "id": step.id,
        "concurrency": step.concurrency,
        "rate": step.rate,
        "piece": step.piece,
        "ramp": step.ramp,
        "state": step.state,
        "window_s": step.window.seconds if step.window else None,
        "requests_ok": step.window_counts.ok,
        "requests_failed": step.window_counts.failed,
        "requests_censored": step.window_counts.censored,
        "requests_withheld": step.window_counts.withheld,
        "whole_step": asdict(step.step_counts),
        **latency,
        "prompt_tokens_mean": step.tokens_per_request.prompt,
        "completion_tokens_mean": step.tokens_per_request.completion,
        "completion_tokens_per_s": step.throughput.completion_tokens_per_s,
        "prompt_tokens_per_s": step.throughput.prompt_tokens_per_s,
        "requests_per_minute": step.throughput.per_minute,
        "requests_per_minute_95": [rate.low, rate.high] if rate else None,
        "error_rate": step.errors.rate,
        "error_classes": step.errors.classes,
        "goodput_per_s": step.goodput.per_s,
        "goodput_share": step.goodput.share,
        "user_tokens_per_s_p50": step.streaming.tokens_per_s_p50,
        "chunk_gap_ms": {"p50": step.streaming.gap_p50_ms, "p99": step.streaming.gap_p99_ms},
        "chunks_p50": step.streaming.chunks_p50,
        "stream_spread_p50": step.streaming.spread_p50,
        "mean_in_flight": step.in_flight.mean,
        "little_residual": step.in_flight.little_residual,
        "finish_reasons": step.provenance.finish_reasons,
        "token_sources": step.provenance.token_sources,
        "usd_per_request": step.cost.per_request,
        "usd_per_request_95": [price.low, price.high] if price else None,
        "usd_per_million_output_tokens": step.cost.per_million_output,
        "usd_per_million_tokens": step.cost.per_million_total,
        "conversations": _conversations(step),
        "parts": [_part(part) for part in step.parts],
        "trust": asdict(step.trust),
        "answers": asdict(step.answers),
        "master_cpu": step.health.master_cpu,
        "workers": [asdict(worker) for worker in step.workers],
        "slo": None if judged is None else _slo(judged),
    }


def _part(part: PartFacts) -> dict[str, Any]:
    return {
        "part": part.part,
        **asdict(part.counts),
        "requests_per_minute": part.per_minute,
        "completion_tokens_per_s": part.completion_tokens_per_s,
        "mean_in_flight": part.in_flight,
        "prompt_tokens_mean": part.tokens.prompt,
        "completion_tokens_mean": part.tokens.completion,
        **{f"{name}_ms": _short(part.latency.get(name)) for name in ("ttft", "tpot", "e2e")},
        "usd_per_request": part.usd_per_request,
    }


def _conversations(step: StepResult) -> dict[str, Any] | None:
    facts = step.conversations
    if facts is None:
        return None
    return {
        "completed": facts.completed,
        "per_minute": facts.per_minute,
        "turns_mean": facts.turns_mean,
        "cut_off": facts.cut_off,
        "usd": step.cost.per_conversation,
        "sessions": None
        if facts.sessions is None
        else {"share": facts.sessions.share, "opening_ms": _short(facts.sessions.opening)},
        "turns": [
            {
                "turn": turn.turn,
                **asdict(turn.counts),
                "prompt_tokens_mean": turn.prompt_tokens_mean,
                "cached_share": turn.cached_share,
                "ttft_ms": _short(turn.ttft),
                "e2e_ms": _short(turn.e2e),
            }
            for turn in facts.turns
        ],
    }


def _short(found: Distribution | None) -> dict[str, Any]:
    if found is None:
        return {"p50": None, "p95": None, "mean": None, "n": 0}
    return {"p50": found.shown(50), "p95": found.shown(95), "mean": found.mean, "n": found.n}


def _slo(candidate: Candidate) -> dict[str, Any]:
    return {
        "status": candidate.slo_status,
        "objectives": [
            {
                "objective": f.label,
                "value_ms": None if f.hidden else f.value_ms,
                "status": f.status,
                "sure": f.sure,
            }
            for f in candidate.checks
        ],
    }


def _distribution(found: Distribution | None) -> dict[str, Any]:
    if found is None:
        return {f"p{p}": None for p in PERCENTILES} | {"mean": None, "n": 0}
    shown = {f"p{p}": found.shown(p) for p in PERCENTILES}
    intervals = {
        f"p{p}_95": [i.low, i.high] for p, i in found.intervals.items() if found.shown(p) is not None
    }
    certified = {f"p{p}_certified": found.certified.get(p) for p in CERTIFIED}
    return (
        shown
        | intervals
        | certified
        | {"mean": found.mean, "std": found.std, "min": found.low, "max": found.high, "n": found.n}
    )


def _choice(choice: Choice) -> dict[str, Any]:
    def where(candidate: Candidate | None) -> dict[str, Any] | None:
        if candidate is None:
            return None
        return {
            "experiment": candidate.experiment.name,
            "step": candidate.step.id,
            "repetitions": [step.id for step in candidate.repetitions],
            "concurrency": candidate.step.concurrency,
            "rate": candidate.step.rate,
            "usd_per_request": candidate.step.cost.per_request,
        }

    return {
        "payload": choice.payload,
        "best": where(choice.best),
        "runner_up": where(choice.runner_up),
        "extra_usd_per_request": choice.extra_cost.value if choice.extra_cost and choice.priced else None,
        "extra_share": choice.extra_share,
        "win_share": choice.win_share,
    }
