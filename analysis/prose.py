"""The answer in words: the first paragraph of the report."""

from analysis.answer import Candidate, Choice
from analysis.locust_answer import locust_answer
from analysis.objectives import limit_text
from analysis.results import ExperimentResult, RunResult
from analysis.unmet import errors_allowed, measured, nothing_passes, place, slo_words
from analysis.words import confidence, dollars, hourly, joined, milliseconds, minutes, number, percent

DECIDED = 0.5
"""Below this share of the draws the answer is called not decided."""
NAMED = 3
"""How many warnings the answer names; the table has them all."""


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
    if choices and not any(choice.compared for choice in choices):
        return " ".join([*opening, locust_answer(result)])
    if not choices or not any(choice.candidates for choice in choices):
        opening.append("Nothing was measured: no step has a request that was answered inside its window.")
        return " ".join(opening)
    several = len(choices) > 1
    return " ".join([*opening, *(choice_sentences(result, choice, several=several) for choice in choices)])


def choice_sentences(result: RunResult, choice: Choice, *, several: bool) -> str:
    """The answer for one payload."""
    start = f"For payload {choice.payload}: " if several else ""
    best = choice.best
    said = nothing_passes(result, choice) if best is None else f"{_recommendation(result, choice, best)}."
    text = [f"{start}{said[0].lower()}{said[1:]}" if several else said]
    if best is not None:
        text += _warnings(choice, best)
        text += _runner_up(result, choice, best)
        if choice.stays is not None:
            text.append(_how_sure(result, choice))
        text += _open_sentences(choice, best)
    if choice.unpriced:
        text.append(f"No price is known for {joined(choice.unpriced)}, so it is not compared.")
    return " ".join(text)


def _runner_up(result: RunResult, choice: Choice, best: Candidate) -> list[str]:
    if choice.runner_up is None or choice.gap is None or choice.gap_share is None:
        return []
    assumed = " at an assumed price" if result.assumed_price else ""
    each = f"{dollars(10_000 * choice.gap)} per 10,000 requests{assumed}"
    gap = f"{percent(choice.gap_share)} ({each}) dearer"
    if not choice.priced:
        gap = f"{percent(1 - best.order / choice.runner_up.order)} fewer requests per instance"
    return [f"The runner-up is {place(choice.runner_up)}, {gap}."]


def price_words(experiment: ExperimentResult) -> str:
    """``$1.41 per instance-hour`` with ``an assumed price`` where nobody charges it."""
    price = hourly(experiment.usd_per_hour)
    assumed = "an assumed price of " if experiment.price.assumption else ""
    count = "" if experiment.instance_count == 1 else f", {experiment.instance_count} instances"
    return f"{assumed}{price} per instance-hour{count}"


def _recommendation(result: RunResult, choice: Choice, best: Candidate) -> str:
    step = best.step
    slo = slo_words(result)
    facts = [f"{number(step.per_minute)} requests/min"]
    facts += [measured(finding) for finding in best.findings]
    if not best.findings and "e2e" in step.latency:
        facts.append(f"mean E2E {milliseconds(step.latency['e2e'].mean)}")
    if step.error_rate:
        facts.append(f"{percent(step.error_rate)} errors")
    within = f"that meets {slo}" if slo else "measured (no SLO was set)"
    use = "Use" if choice.stays is None or choice.stays >= DECIDED else "Not decided yet; for now, use"
    if not choice.priced:
        return (
            f"{use} {place(best)}: the highest throughput {within}, with {joined(facts)}; no price is known"
        )
    interval = step.usd_per_request_interval
    sure = f", 95 % interval {dollars(interval.low)} to {dollars(interval.high)}" if interval else ""
    return (
        f"{use} {place(best)}: it is the cheapest choice {within}, "
        f"at {dollars(step.usd_per_request)} per request "
        f"({price_words(best.experiment)}{sure}), with {joined(facts)}"
    )


def _warnings(choice: Choice, best: Candidate) -> list[str]:
    """What the trust gate says of the recommended step, and the best step of which it says nothing."""
    reasons = [reason.title for reason in best.step.verdict.reasons]
    if not reasons:
        return []
    more = len(reasons) - NAMED
    told = reasons[:NAMED] + ([f"{more} more"] if more > 0 else [])
    text = [f"This step has warnings: {joined(told)}."]
    sound = [c for c in choice.competing if c.passes and c.step.verdict.level == "pass"]
    if sound:
        other = min(sound, key=lambda c: c.order)
        price = f" ({dollars(other.step.usd_per_request)} per request)" if choice.priced else ""
        text.append(f"The {_better(choice)} without warnings is {place(other)}{price}.")
    return text


def _how_sure(result: RunResult, choice: Choice) -> str:
    share = f"In {confidence(choice.stays)} of 1,000 bootstrap draws it stays the best choice"
    rival = choice.rival
    if choice.sure or rival is None:
        return f"{share}."
    if rival.passes:
        why = f"it and {place(rival)} are not told apart yet"
    elif rival.judgement == "open":
        why = _open(choice, rival)
    else:
        why = f"{place(rival)} misses the SLO by no more than noise ({joined(_near(result, rival))})"
    if not choice.settle:
        return f"{share}: {why}."
    return f"{share}: {why}; about {_longer(choice.settle, rival)} would settle it."


def _longer(settle: list[tuple[Candidate, float]], rival: Candidate) -> str:
    """How many more minutes, and where: ``3 more minutes at each of the two``."""
    if len({minutes(wait) for _, wait in settle}) == 1 and len(settle) > 1:
        return f"{minutes(settle[0][1])} at each of the two"
    if [candidate for candidate, _ in settle] == [rival] and rival.judgement == "open":
        return f"{minutes(settle[0][1])} there"
    return joined([f"{minutes(wait)} at {place(candidate)}" for candidate, wait in settle])


def _near(result: RunResult, rival: Candidate) -> list[str]:
    """What the rival misses or has not measured, in figures."""
    limits = [
        f"{measured(f)}, limit {limit_text(float(f.objective['limit_ms']))}"
        for f in rival.findings
        if f.judgement != "met"
    ]
    return limits or [f"{percent(rival.step.error_rate)} errors, {errors_allowed(result)}"]


def _open_sentences(choice: Choice, best: Candidate) -> list[str]:
    """Steps that might be the better choice, once they have samples enough."""
    text = []
    for candidate in choice.competing:
        told = candidate is choice.rival and not choice.sure
        if candidate.judgement != "open" or not candidate.step.usable or told:
            continue
        if candidate.order < best.order:
            wait = max((f.more_minutes or 0 for f in candidate.findings if f.judgement == "open"), default=0)
            text.append(f"{_open(choice, candidate)}; about {minutes(wait or None)} would settle it.")
    return text


def _open(choice: Choice, candidate: Candidate) -> str:
    """What an open step would be, and why it cannot be judged."""
    first = max((f for f in candidate.findings if f.judgement == "open"), key=lambda f: f.more_minutes or 0)
    objective = first.objective
    assert choice.best is not None  # noqa: S101 - only said beside one
    would = "would be cheaper but cannot" if choice.priced else "would do more requests but cannot"
    if candidate.order >= choice.best.order:
        would = "cannot"
    return (
        f"{place(candidate)} {would} be judged yet: {first.samples} samples are too few for "
        f"{objective['metric'].upper()} {objective['statistic']}"
    )


def _better(choice: Choice) -> str:
    return "cheapest" if choice.priced else "highest throughput"
