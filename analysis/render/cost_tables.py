"""What the run cost, what a request costs at lower utilisations, and the fleets for a demand."""

from collections.abc import Sequence

from analysis.decide.fleet import HEADROOM, Fleet, FleetPlan
from analysis.decide.recommendation import Choice
from analysis.decide.utilisation import UtilisationPrice
from analysis.measure.results import ExperimentResult, RunResult
from analysis.render.levels import level_name
from analysis.render.prices import PER_REQUESTS, assumed_mark, request_price
from analysis.render.tables import Table, numbers, texts
from common.formatting import ABSENT, code_span, dollars, duration, limit_percent, listed, percent


def cost_table(result: RunResult) -> Table:
    """What each experiment cost, under FMBench's column names."""
    rows = [
        [
            e.name,
            e.deployed,
            ABSENT if e.cost.total_s is None else f"{e.cost.total_s:.2f}",
            dollars(e.cost.usd) + assumed_mark(assumed=e.price.assumption and e.cost.usd is not None),
        ]
        for e in result.experiments
    ]
    columns = [*texts("experiment_name", "instance_type"), *numbers("duration_in_seconds", "cost")]
    return Table("Cost of each experiment", columns, rows)


def cost_bases(result: RunResult) -> list[tuple[str, list[str]]]:
    """How the time was counted, and for which experiments, with their times; each basis appears once."""
    bases: dict[str, list[str]] = {}
    for e in result.experiments:
        if e.cost.total_s is not None:
            times = ""
            if e.cost.boot_s is not None:
                parts = (("boot", e.cost.boot_s), ("load", e.cost.load_s), ("idle", e.cost.idle_s))
                times = f": {', '.join(f'{name} {duration(value)}' for name, value in parts)}"
            bases.setdefault(e.cost.basis, []).append(f"{e.name}{times}")
    return list(bases.items())


def total_cost(result: RunResult) -> str | None:
    """The sum over the experiments that have a price; None when none has."""
    costs = [e.cost.usd for e in result.experiments if e.cost.usd is not None]
    return dollars(sum(costs)) + assumed_mark(assumed=result.assumed_price) if costs else None


def utilisation_table(result: RunResult, prices: Sequence[UtilisationPrice]) -> Table:
    """Dollars per request and per million tokens at several utilisations, for each experiment's best step."""
    rows = [
        [
            f"{experiment_label(p.candidate.experiment)}, {level_name(p.candidate.step)}",
            percent(p.utilisation),
            request_price(p.usd_per_request),
            dollars(p.usd_per_million_output),
            dollars(p.usd_per_million_total),
        ]
        for p in prices
    ]
    columns = texts("best step of each experiment")
    columns += numbers("utilisation", f"$/{PER_REQUESTS}", "$/1M output tokens", "$/1M tokens in and out")
    note = "An endpoint is billed by the hour, busy or idle: at a lower utilisation each request costs more."
    note += " All dollars are at an assumed price." if result.assumed_price else ""
    return Table("Cost at lower utilisation", columns, rows, grouped=True, note=note)


def fleet_table(plans: Sequence[FleetPlan], policies: list[str], *, given: bool, several: bool) -> Table:
    """The ways to carry each demand.

    Args:
        plans: per payload and demand.
        policies: names of the files with autoscaling policies.
        given: whether the user gave the demand.
        several: whether the run has several payloads.
    """
    rows = [
        [_demand_label(plan, several=several), *_fleet_cells(fleet)]
        for plan in plans
        for fleet in plan.fleets
    ]
    columns = texts("demand", "instance, load of each")
    columns += numbers("instances", "spare", "utilisation", "$/month", "$/month scaled hourly")
    columns += numbers(f"$/{PER_REQUESTS}")
    note = _fleet_note(policies, given=given)
    return Table("How many instances", columns, rows, grouped=True, note=note)


def _demand_label(plan: FleetPlan, *, several: bool) -> str:
    constant = len(set(plan.demand.per_hour_of_day)) == 1
    label = f"{plan.demand.peak:,.10g} requests/min" if constant else "24-hour curve"
    return f"{label}, {plan.payload}" if several else label


def _fleet_cells(fleet: Fleet) -> list[str]:
    return [
        f"{fleet.candidate.experiment.instance}, {round(fleet.level_each, 2):g}"
        + ("" if fleet.candidate.step.rate is None else "/s"),
        str(fleet.instances),
        str(fleet.spare),
        percent(fleet.utilisation),
        dollars(fleet.usd_per_month),
        dollars(fleet.usd_per_month_scaled),
        request_price(fleet.usd_per_request),
    ]


def _fleet_note(policies: list[str], *, given: bool) -> str:
    note = f"The instances carry the peak with {limit_percent(HEADROOM)} headroom, plus one spare."
    if not given:
        note += " Pass your own demand to the report to get a table for it."
    if policies:
        files = listed([code_span(name) for name in policies])
        hold = "has an autoscaling policy"
        if len(policies) > 1:
            hold = "have an autoscaling policy each (an endpoint takes one of them)"
        note += f" {files} {hold} for the recommended concurrency less this headroom."
    return note


def no_cost_text(choices: list[Choice]) -> str:
    """Why there is no table of costs."""
    if all(choice.compared for choice in choices):
        return "No step passes with a known price, so there is no cost per request to recommend."
    return "Only one level was measured. The table of the steps has its cost per request."


def experiment_label(experiment: ExperimentResult) -> str:
    """``ml.g5.xlarge, en_1000-2000``."""
    return f"{experiment.deployed}, {experiment.payload}"
