"""The answer about a shape, in words: in which of its pieces the SLO holds."""

from analysis.decide.recommendation import Candidate, Choice
from analysis.measure.results import RunResult
from analysis.render.levels import level_name
from analysis.render.no_recommendation_text import measured, slo_label
from common.formatting import listed, milliseconds, percent, plural

_PERCENTILE = 95
"""The percentile that is shown of each piece where the plan has no SLO."""


def shape_sentences(result: RunResult, choice: Choice) -> list[str]:
    """What holds in which pieces, and what could not be judged.

    Args:
        result: the run.
        choice: of one payload, with a candidate per piece that was measured.
    """
    count = plural(len(choice.candidates), "piece")
    opening = f"The load was a shape of {count}, so no level is recommended."
    if not result.objectives and result.error_rate_slo is None:
        return [opening, *_without_slo(choice)]
    held = [c for c in choice.candidates if c.passes]
    sentences = [opening, f"The SLO{_limits(result)} holds in {len(held)} of them."]
    missed = [c for c in choice.candidates if c.step.usable and c.slo_status == "missed"]
    sentences += [f"It is missed in {_name(c)}: {listed(_misses(c))}." for c in missed]
    unclear: dict[str, list[str]] = {}
    for candidate in choice.candidates:
        if candidate not in held and candidate not in missed:
            unclear.setdefault(_why_unclear(candidate), []).append(_name(candidate))
    sentences += [f"{listed(own).capitalize()} could not be judged: {why}." for why, own in unclear.items()]
    return sentences


def _limits(result: RunResult) -> str:
    return f" ({slo_label(result)})" if result.objectives else ""


def _without_slo(choice: Choice) -> list[str]:
    metric = "ttft" if any("ttft" in c.step.latency for c in choice.candidates) else "e2e"
    shown = [(c, c.step.shown(metric, _PERCENTILE)) for c in choice.candidates]
    known = [f"{milliseconds(value)} in {_name(c)}" for c, value in shown if value is not None]
    return [f"{metric.upper()} p{_PERCENTILE} is {listed(known)}."] if known else []


def _name(candidate: Candidate) -> str:
    return f"piece {candidate.step.piece} ({level_name(candidate.step)})"


def _misses(candidate: Candidate) -> list[str]:
    missed = [measured(check) for check in candidate.checks if check.status == "missed"]
    return missed or [f"{percent(candidate.step.errors.rate)} errors"]


def _why_unclear(candidate: Candidate) -> str:
    if not candidate.step.usable:
        return listed(candidate.step.trust.texts[:2])
    return "too few requests for the SLO's figures"
