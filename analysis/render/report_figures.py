"""What a report is made of beside the measured run. It is complete before any page is written."""

from dataclasses import dataclass
from typing import Any

from analysis.decide.autoscaling import autoscaling_policies
from analysis.decide.fleet import Demand, FleetPlan, plan_fleets
from analysis.decide.recommendation import Choice
from analysis.decide.utilisation import UtilisationPrice, utilisation_prices
from analysis.importers.fmbench.comparison import FmbenchComparison, compare_with_fmbench
from analysis.measure.results import RunResult


@dataclass(frozen=True)
class ReportFigures:
    """The choices and what follows from them."""

    choices: list[Choice]
    """One per payload."""
    fleets: list[FleetPlan]
    """The ways to carry the demand, per payload."""
    policies: dict[str, dict[str, Any]]
    """File name → content of each autoscaling policy."""
    utilisation: list[UtilisationPrice]
    fmbench: list[FmbenchComparison]


def report_figures(result: RunResult, choices: list[Choice], demand: Demand | None = None) -> ReportFigures:
    """Compute everything that the pages and ``summary.json`` show beside the measured run."""
    return ReportFigures(
        choices=choices,
        fleets=plan_fleets(choices, demand),
        policies=autoscaling_policies(result, choices, demand),
        utilisation=utilisation_prices(result, choices),
        fmbench=compare_with_fmbench(result, choices),
    )
