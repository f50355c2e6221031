"""What the templates show: the result as tables, figures and sentences."""

import json
from dataclasses import dataclass
from typing import Any

from analysis.decide.fleet import Demand
from analysis.measure.results import RunResult
from analysis.render import cost_tables, fmbench_page
from analysis.render.check_tables import fmbench_tables, locust_check_table
from analysis.render.key_figures import key_figures
from analysis.render.levels import level_noun
from analysis.render.locust_tables import locust_tables
from analysis.render.plots.drawing import Drawing
from analysis.render.recommendation_text import answer_lines, answer_notes
from analysis.render.report_figures import ReportFigures
from analysis.render.run_facts import calibration_sentence, run_details, run_facts
from analysis.render.step_sections import experiment_sections, steps_intro
from common.formatting import listed


@dataclass(frozen=True)
class ReportOptions:
    """What the user may ask of a report."""

    demand: Demand | None = None
    aiperf: bool = False
    """Whether to write each step in AIPerf's form, too."""


def template_context(
    result: RunResult,
    figures: ReportFigures,
    drawings: dict[str, Drawing],
    options: ReportOptions,
) -> dict[str, Any]:
    """The names that both templates use.

    Args:
        result: the run.
        figures: the choices and what follows from them.
        drawings: the pictures by file stem.
        options: what the user asked for.
    """
    choices = figures.choices
    pictures = dict(drawings)
    return {
        "run": result,
        "title": listed(fmbench_page.models_of(result)) or result.run_id,
        "notices": notices(result),
        "answer": answer_lines(result, choices),
        "notes": answer_notes(result, choices),
        "key_figures": key_figures(choices),
        "facts": run_facts(result),
        "best_steps": [
            (
                sentence,
                None if c.best is None else fmbench_page.information_table(c.best.experiment, c.best.step),
            )
            for sentence, c in zip(fmbench_page.summary_sentences(result, choices), choices, strict=True)
        ],
        "business_summary": pictures.pop("business_summary", None),
        "drawings": list(pictures.values()),
        "total_cost": cost_tables.total_cost(result),
        "cost": cost_tables.cost_table(result),
        "cost_bases": cost_tables.cost_bases(result),
        "recommendations": fmbench_page.recommendation_table(result, choices),
        "steps_intro": steps_intro(result),
        "level_noun": level_noun(result),
        "experiments": experiment_sections(result, choices),
        "locust_tables": locust_tables(result),
        "utilisation": cost_tables.utilisation_table(result, figures.utilisation),
        "no_cost": cost_tables.no_cost_text(choices),
        "fleets": cost_tables.fleet_table(
            figures.fleets, list(figures.policies), given=options.demand is not None, several=len(choices) > 1
        ),
        "locust_check": locust_check_table(result),
        "fmbench": fmbench_tables(figures.fmbench),
        "calibration": calibration_sentence(result),
        "details": run_details(result),
        "plan_text": json.dumps(result.plan, indent=2, ensure_ascii=False, default=str),
    }


def notices(result: RunResult) -> list[str]:
    """What must stand on every page: that the run is a rehearsal, then the run's own notices."""
    rehearsal = ["Rehearsal: a simulated endpoint. None of these figures is from AWS."]
    return (rehearsal if result.rehearsal else []) + [notice.text for notice in result.notices]
