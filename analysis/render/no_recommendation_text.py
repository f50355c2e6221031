"""Why nothing is recommended, in words: not decided yet, not measured, too many errors, too slow."""

from analysis.decide.recommendation import Candidate, Choice
from analysis.decide.slo import SloCheck
from analysis.measure.results import RunResult, StepResult
from analysis.render.levels import candidate_label, level_names
from common.formatting import limit_percent, listed, milliseconds, more_minutes, percent

_NEEDS = {"ttft": "streamed answers", "tpot": "streamed answers of two tokens or more"}


def slo_label(result: RunResult) -> str:
    """``TTFT p95 ≤ 1 s and TPOT p95 ≤ 60 ms``; empty without latency objectives."""
    return listed([objective.label for objective in result.objectives])


def measured(check: SloCheck) -> str:
    """``TTFT p95 166 ms``; on too few samples for the figure only on which side of the limit it surely is."""
    name = check.objective.name
    return f"{name} {_side(check)}" if check.hidden else f"{name} {milliseconds(check.value_ms)}"


def _side(check: SloCheck) -> str:
    side = "within" if check.status == "met" else "above"
    return f"{side} {check.objective.limit} ({check.samples} samples, 95% confidence)"


def nothing_passes(result: RunResult, choice: Choice) -> str:
    """Why a payload has no best step."""
    if not choice.competing:
        return "Nothing was measured for this payload."
    usable = [c for c in choice.competing if c.step.usable]
    if not usable:
        every = (reason for c in choice.competing for reason in c.step.trust.reasons)
        reasons = dict.fromkeys(reason.text for reason in every if reason.level == "void")
        return f"No step can be trusted, so nothing is recommended: {listed(list(reasons)[:3])}."
    missed = [c for c in usable if c.slo_status == "missed"]
    undecided = not_decided(usable)
    if undecided is None and not missed:
        return f"Nothing can be recommended: at {_places(usable)} no answer ended inside the window."
    if undecided is None:
        return f"Nothing passes: {_why_missed(result, missed)}. {_closest(result, choice)}."
    yet = " yet" if any(c.slo_status == "open" for c in usable) else ""
    text = f"No step can be called passing{yet}: {undecided}."
    if not missed:
        return text
    others = "1 other step misses" if len(missed) == 1 else f"{len(missed)} other steps miss"
    return f"{text} {others} the SLO. {_closest(result, choice)}."


def not_decided(candidates: list[Candidate]) -> str | None:
    """Which steps are open or not measured, and what would settle them; None when all are judged."""
    parts = []
    undecided = [c for c in candidates if c.slo_status == "open"]
    if undecided:
        found = [f for c in undecided for f in c.checks if f.status == "open"]
        wait = max((f.more_minutes for f in found if f.more_minutes is not None), default=None)
        which = listed(list(dict.fromkeys(f.label for f in found)))
        places, per = _places(undecided), ""
        have = f"{places} has"
        if len(undecided) > 1:
            have, per = f"{len(undecided)} steps ({places}) have", " per step"
        parts.append(
            f"{have} too few samples to judge {which}; about {more_minutes(wait)}{per} would settle it"
        )
    blind = [c for c in candidates if c.slo_status == "unmeasured"]
    metrics = dict.fromkeys(f.objective.metric for c in blind for f in c.checks if f.status == "unmeasured")
    for metric in metrics:
        own = [
            c
            for c in blind
            if any(f.status == "unmeasured" and f.objective.metric == metric for f in c.checks)
        ]
        needs = f" (it needs {_NEEDS[metric]})" if metric in _NEEDS else ""
        parts.append(f"{metric.upper()} was not measured at {_places(own)}{needs}")
    return "; ".join(parts) or None


def errors_allowed(result: RunResult) -> str:
    """What limit on errors holds, in words."""
    if result.error_rate_slo is None:
        return f"with more than {limit_percent(result.error_rate_limit)} a step is not recommended"
    return f"the SLO allows {limit_percent(result.error_rate_limit)}"


def misses(result: RunResult, candidate: Candidate) -> list[str]:
    """Everything that a step misses, each with how far it is off."""
    found = []
    for check in candidate.checks:
        if check.status == "missed" and check.hidden:
            found.append(f"{check.objective.name} is {_side(check)}")
        elif check.status == "missed":
            over = milliseconds((check.value_ms or 0) - check.objective.limit_ms)
            over += f" ({percent(check.excess)})"
            found.append(f"{measured(check)} is {over} above the limit of {check.objective.limit}")
    rate = candidate.step.errors.rate
    if rate is not None and rate > result.error_rate_limit:
        found.append(f"{percent(rate)} of the requests failed ({errors_allowed(result)})")
    return found


def _why_missed(result: RunResult, missed: list[Candidate]) -> str:
    slow = [c for c in missed if any(f.status == "missed" for f in c.checks)]
    failing = [c for c in missed if (c.step.errors.rate or 0) > result.error_rate_limit]
    if not slow:
        return "too many requests failed at every step"
    at_most = f" with at most {limit_percent(result.error_rate_limit)} errors" if failing else ""
    return f"no step meets {slo_label(result)}{at_most}"


def _closest(result: RunResult, choice: Choice) -> str:
    assert choice.closest is not None  # noqa: S101 - there is one wherever a step misses
    return f"The closest is {candidate_label(choice.closest)}, where {listed(misses(result, choice.closest))}"


def _places(candidates: list[Candidate]) -> str:
    """``ml.g5.xlarge at concurrency 4 and 8``: levels grouped by what they ran on."""
    steps: dict[str, list[StepResult]] = {}
    for candidate in candidates:
        steps.setdefault(candidate.experiment.deployed, []).append(candidate.step)
    return listed([f"{where} at {level_names(own)}" for where, own in steps.items()])
