"""What the live page shows, as data: a pure function of the status, the steps, the rows and the plan."""

from collections.abc import Mapping
from typing import Any

from configs.experiment import Experiment
from configs.load import Load
from configs.slo import DEFAULT_ERROR_RATE_LIMIT, Objective, Slo
from locustfiles.master.live_series import LiveSeries, in_order
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.row_totals import Latency
from locustfiles.master.status import LoadStatus
from locustfiles.master.step_tally import LATENCIES, StepTally
from locustfiles.master.worker_state import WorkerState
from runfolder.percentiles import samples_needed
from runfolder.records import StepRow
from runfolder.search_path import SearchPath

Data = dict[str, Any]

_BUSY_PERCENT = 90.0
_LATE_MS = 50.0
_SILENT_S = 5.0


def live_state(
    experiment: Experiment,
    status: LoadStatus,
    collector: ReportCollector,
    now: float,
    *,
    path: SearchPath | None = None,
) -> Data:
    """Everything that the displays show, except the steps (`step_state`) and the points of the page's charts.

    Args:
        experiment: what is played.
        status: how it stands.
        collector: has the workers and the errors.
        now: the time.
        path: of a search, so far.
    """
    facts = experiment.live
    return {
        "now": now,
        "plan": facts.plan,
        "run": experiment.run_id,
        "experiment": experiment.name,
        "endpoint": experiment.endpoint_name,
        "region": experiment.region,
        "request_schema": experiment.request_schema,
        "search": experiment.load.search is not None,
        "search_path": None if path is None else path.model_dump(mode="json"),
        "step": status.step,
        "ordinal": status.ordinal,
        "steps_total": status.steps_total,
        "phase": status.phase,
        "until": _until(experiment.load, status),
        "phase_elapsed_s": status.phase_elapsed_s,
        "phase_total_s": status.phase_total_s,
        "eta_s": status.eta_s,
        "message": status.message,
        "exit_code": status.exit_code,
        "target": status.target,
        "rate": status.rate,
        "turns_per_arrival": status.turns_per_arrival,
        "users": status.users,
        "in_flight": status.in_flight,
        "objectives": [_objective(objective) for objective in facts.slo.objectives],
        "outcomes": dict(collector.live.outcomes),
        "totals": collector.live.totals.as_data(),
        "errors": _errors(collector.live),
        "cost": {
            "spent_usd": facts.spent_by(now),
            "expected_usd": facts.expected_usd,
            "max_spend_usd": facts.max_spend_usd,
            "usd_per_hour": facts.usd_per_hour,
            "assumed": facts.price_assumed,
        },
        "workers": worker_states(
            collector.workers, collector.lost, collector.live, None if status.phase == "done" else now
        ),
    }


def step_state(row: StepRow, tally: StepTally, slo: Slo, now: float, turns: float | None = None) -> Data:
    """Figures of one step, and how it compares with the SLO.

    They are the report's figures of the same rows, over the measure window so far. Before the window
    opens, they are of the step's last answers, and nothing is compared.

    Args:
        row: the step.
        tally: its counts.
        slo: of the plan.
        now: time up to which all workers have reported.
        turns: mean turns of the conversations that arrive; None where requests do.
    """
    per_minute, tokens_per_s = tally.rates(row.tail_ended_at or now, row.announced_at or 0.0)
    figures = {
        f"{name.removesuffix('_ms')}_p{p}_ms": _shown(tally, name, p) for name in LATENCIES for p in (50, 95)
    }
    checks = [_check(objective, tally) for objective in slo.objectives] if tally.window is not None else []
    return {
        "step": row.step,
        "ordinal": row.ordinal,
        "state": row.state,
        "purpose": row.purpose,
        "reasons": row.reasons,
        "concurrency": row.concurrency,
        "rate": row.rate,
        "turns_per_arrival": turns,
        "speed": row.speed,
        "piece": row.piece,
        "ramp": None if row.ramp_from is None or row.ramp_to is None else [row.ramp_from, row.ramp_to],
        "announced_at": row.announced_at,
        "measure_started_at": row.measure_started_at,
        "measure_ended_at": row.measure_ended_at,
        "ended_at": row.tail_ended_at,
        "ok": tally.ok,
        "failed": tally.failed,
        "censored": tally.censored,
        "withheld": tally.withheld,
        "measured_ok": tally.measured_ok,
        "error_rate": tally.error_rate,
        "requests_per_minute": per_minute,
        "completion_tokens_per_s": tokens_per_s,
        **figures,
        "checks": checks,
        "slo": _slo_status(checks, tally, slo),
    }


def _shown(tally: StepTally, name: Latency, p: int) -> float | None:
    """A percentile; None where the report, too, has too few samples for it."""
    if tally.window is not None and tally.measured(name) < samples_needed(p):
        return None
    return tally.percentile(name, p)


def _until(load: Load, status: LoadStatus) -> Data | None:
    """What ends a measurement, and how near it is; None where it has a fixed length."""
    until = load.measure_until
    if until is None:
        return None
    return {
        "statistic": until.of,
        "share": until.until,
        "at_most_s": until.at_most,
        "reach": status.reach,
        "looks_at": status.looks_at,
    }


def _objective(objective: Objective) -> Data:
    return {
        "metric": objective.metric,
        "statistic": objective.statistic,
        "limit_ms": objective.limit_ms,
        "label": objective.label,
    }


def _check(objective: Objective, tally: StepTally) -> Data:
    """One objective: met or missed by the measured value, open while it has too few samples.

    The report decides some of the open ones by their intervals (`analysis.decide.slo.check_objective`).
    """
    name: Latency = f"{objective.metric}_ms"  # type: ignore[assignment]
    p = objective.percentile
    value = tally.mean(name) if p is None else tally.percentile(name, p)
    status = "unmeasured"
    if value is not None:
        enough = p is None or tally.measured(name) >= samples_needed(p)
        status = "open" if not enough else "met" if value <= objective.limit_ms else "missed"
    return {**_objective(objective), "value_ms": value if status != "open" else None, "status": status}


def _slo_status(checks: list[Data], tally: StepTally, slo: Slo) -> str | None:
    """All objectives and the error rate together; None without objectives or before the window opens."""
    if not checks:
        return None
    limit = DEFAULT_ERROR_RATE_LIMIT if slo.error_rate is None else slo.error_rate
    if tally.error_rate is not None and tally.error_rate > limit:
        return "missed"
    statuses = {check["status"] for check in checks}
    return next((status for status in ("missed", "unmeasured", "open") if status in statuses), "met")


def _errors(live: LiveSeries) -> list[Data]:
    """Failures by class, most frequent first."""
    ordered = sorted(live.errors.items(), key=lambda item: -item[1].count)
    return [{"class": name, "count": error.count, "example": error.example} for name, error in ordered]


def worker_states(
    workers: Mapping[str, WorkerState], lost: set[str], live: LiveSeries, now: float | None
) -> list[Data]:
    """Health of every load generator that has reported, with the first thing that is wrong with it.

    Args:
        workers: by client id.
        lost: client ids of those that were lost.
        live: has their last reports.
        now: the time; None after the end, when they report no more.
    """
    silent = {
        state.name: client in lost or (now is not None and now - state.reported_at > _SILENT_S)
        for client, state in workers.items()
        if state.reported_at
    }
    states = []
    for report in in_order(live.workers.values()):
        late = report.clock_lag_p99_ms
        if silent.get(report.worker, False):
            health = "silent"
        elif report.cpu_percent > _BUSY_PERCENT:
            health = "busy"
        elif late is not None and late > _LATE_MS:
            health = "late"
        else:
            health = "ok"
        states.append(
            {
                "worker": report.worker,
                "host": report.host,
                "health": health,
                "in_flight": report.in_flight,
                "cpu_percent": report.cpu_percent,
                "memory_mb": report.memory_mb,
                "lag_p99_ms": report.lag_p99_ms,
                "clock_lag_p99_ms": late,
                "rtt_ms": report.rtt_ms,
            }
        )
    return states
