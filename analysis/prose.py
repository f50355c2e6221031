"""The answer in words: the first paragraph of the report."""

from analysis.answer import Candidate, Choice, excess
from analysis.objectives import Finding, limit_text, objective_label
from analysis.results import ExperimentResult, RunResult
from analysis.words import dollars, hourly, joined, milliseconds, minutes, number, percent


def answer_paragraph(result: RunResult, choices: list[Choice]) -> str:
    """The first paragraph of the report."""
    opening = []
    if result.rehearsal:
        opening.append("Rehearsal: the endpoint was simulated; no figure here is AWS's.")
    if result.state == "interrupted":
        opening.append("The run was interrupted; the answer covers what was measured.")
    elif result.state in ("failed", "running"):
        why = f" ({result.error})" if result.error else ""
        opening.append(f"The run did not finish{why}; the answer covers what was measured.")
    if not choices or not any(choice.candidates for choice in choices):
        opening.append("Nothing was measured: no step has a request that was answered inside its window.")
        return " ".join(opening)
    several = len(choices) > 1
    return " ".join([*opening, *(choice_sentences(result, choice, several=several) for choice in choices)])


def choice_sentences(result: RunResult, choice: Choice, *, several: bool) -> str:
    """The answer for one payload."""
    start = f"For payload {choice.payload}: " if several else ""
    if choice.best is None:
        said = _nothing_passes(result, choice)
        return f"{start}{said[0].lower()}{said[1:]}" if several else said
    best = choice.best
    said = f"{_recommendation(result, choice, best)}."
    text = [f"{start}{said[0].lower()}{said[1:]}" if several else said]
    if choice.runner_up is not None and choice.gap is not None and choice.gap_share is not None:
        assumed = " at an assumed price" if result.assumed_price else ""
        each = f"{dollars(10_000 * choice.gap)} per 10,000 requests{assumed}"
        gap = f"{percent(choice.gap_share)} ({each}) dearer"
        if not choice.priced:
            gap = f"{percent(1 - best.order / choice.runner_up.order)} fewer requests per instance"
        text.append(f"The runner-up is {place(choice.runner_up)}, {gap}.")
    if choice.stays is not None:
        text.append(_how_sure(choice, result.error_rate_limit))
    text += _open_sentences(choice)
    if choice.unpriced:
        text.append(f"No price is known for {joined(choice.unpriced)}, so it is not compared.")
    return " ".join(text)


def place(candidate: Candidate) -> str:
    """``ml.g5.xlarge at concurrency 4``."""
    return f"{candidate.experiment.instance} at concurrency {candidate.step.concurrency}"


def price_words(experiment: ExperimentResult) -> str:
    """``$1.41 per instance-hour`` with ``an assumed price`` where nobody charges it."""
    price = hourly(experiment.usd_per_hour)
    assumed = "an assumed price of " if experiment.price.assumption else ""
    return f"{assumed}{price} per instance-hour"


def slo_words(result: RunResult) -> str:
    """``TTFT p95 ≤ 1 s and TPOT p95 ≤ 60 ms``; empty without latency objectives."""
    return joined([objective_label(objective) for objective in result.objectives])


def _recommendation(result: RunResult, choice: Choice, best: Candidate) -> str:
    step = best.step
    slo = slo_words(result)
    facts = [f"{number(step.per_minute)} requests/min"]
    facts += [_measured(finding) for finding in best.findings]
    if not best.findings and "e2e" in step.latency:
        facts.append(f"mean E2E {milliseconds(step.latency['e2e'].mean)}")
    within = f"that meets {slo}" if slo else "measured (no SLO was set)"
    if not choice.priced:
        return f"Use {place(best)}: the highest throughput {within}, with {joined(facts)}; no price is known"
    interval = step.usd_per_request_interval
    sure = f", 95 % interval {dollars(interval.low)} to {dollars(interval.high)}" if interval else ""
    return (
        f"Use {place(best)}: it is the cheapest choice {within}, "
        f"at {dollars(step.usd_per_request)} per request "
        f"({price_words(best.experiment)}{sure}), with {joined(facts)}"
    )


def _measured(finding: Finding) -> str:
    objective = finding.objective
    return f"{objective['metric'].upper()} {objective['statistic']} {milliseconds(finding.value_ms)}"


def _how_sure(choice: Choice, error_limit: float) -> str:
    share = f"In {percent(choice.stays)} of 1,000 bootstrap resamples it stays the best choice"
    if choice.sure or choice.rival is None:
        return f"{share}."
    rival = choice.rival
    if rival.passes:
        why = f"it and {place(rival)} are not told apart yet"
    else:
        close = [f for f in rival.findings if f.judgement != "met"]
        by = (
            f" ({_measured(close[0])}, limit {limit_text(float(close[0].objective['limit_ms']))})"
            if close
            else ""
        )
        if not close:
            by = f" ({percent(rival.step.error_rate)} errors, {percent(error_limit)} allowed)"
        why = f"{place(rival)} misses the SLO{by} by no more than noise"
    if choice.settle is None or choice.settle[1] is None:
        return f"{share}: {why}."
    candidate, wait = choice.settle
    return f"{share}: {why}; about {minutes(wait)} at {place(candidate)} would settle it."


def _open_sentences(choice: Choice) -> list[str]:
    text = []
    for candidate in choice.candidates:
        undecided = [f for f in candidate.findings if f.judgement == "open"]
        if not undecided or not candidate.step.usable or candidate.judgement != "open":
            continue
        if choice.best is not None and candidate.order >= choice.best.order:
            continue
        first = max(undecided, key=lambda f: f.more_minutes or 0)
        text.append(
            f"{place(candidate)} would be cheaper but cannot be judged yet: "
            f"{first.samples} samples are too few for "
            f"{first.objective['metric'].upper()} {first.objective['statistic']}; "
            f"about {minutes(first.more_minutes)} would settle it."
        )
    return text


def _nothing_passes(result: RunResult, choice: Choice) -> str:
    if not choice.candidates:
        return "Nothing was measured for this payload."
    usable = [c for c in choice.candidates if c.step.usable]
    if not usable:
        reasons = dict.fromkeys(r for c in choice.candidates for r in c.step.verdict.reasons)
        return f"No step can be trusted, so nothing is recommended: {joined(list(reasons)[:3])}."
    slo = slo_words(result)
    undecided = [c for c in usable if c.judgement == "open"]
    if undecided:
        waits = [f.more_minutes for c in undecided for f in c.findings if f.more_minutes is not None]
        where = joined([place(c) for c in undecided])
        have = "has" if len(undecided) == 1 else "have"
        return (
            f"No step can be called passing yet: {where} {have} too few samples to judge {slo}; "
            f"about {minutes(max(waits, default=None))} per step would settle it."
        )
    errors = [c for c in usable if (c.step.error_rate or 0) > result.error_rate_limit]
    closest = choice.closest
    if closest is None:
        worst = min((c.step.error_rate or 0) for c in errors) if errors else None
        rate = f"the fewest errors of any step are {percent(worst)}, " if worst is not None else ""
        return f"Nothing passes: {rate}the SLO allows {percent(result.error_rate_limit)}."
    missed = max((f for f in closest.findings if f.judgement == "missed"), key=excess)
    over = (missed.value_ms or 0) - float(missed.objective["limit_ms"])
    return (
        f"Nothing passes: no step meets {slo}. The closest is {place(closest)}, where {_measured(missed)} is "
        f"{milliseconds(over)} ({percent(excess(missed))}) above the limit of "
        f"{limit_text(float(missed.objective['limit_ms']))}."
    )
