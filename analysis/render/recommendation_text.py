"""The answer in words: what opens the report, a line per payload, and notes on what else matters."""

from analysis.decide.dwell_course import dwell_of
from analysis.decide.recommendation import Candidate, Choice, cheapest
from analysis.decide.saturation import saving_of
from analysis.measure.results import RunResult
from analysis.metrics.statistics import RESAMPLES
from analysis.render.dwell_tables import saving_sentence
from analysis.render.levels import candidate_label, level_name
from analysis.render.locust_answer_text import locust_answer
from analysis.render.no_recommendation_text import (
    errors_allowed,
    measured,
    nothing_passes,
    slo_label,
)
from analysis.render.prices import PER_REQUESTS, request_price
from analysis.render.search_text import early_end_sentences, search_sentences
from analysis.render.shape_text import shape_sentences
from common.formatting import (
    as_subject,
    confidence,
    dollars,
    duration,
    listed,
    milliseconds,
    more_minutes,
    number,
    percent,
    plural,
)

DECIDED = 0.5
"""Below this share of the draws the answer is called not decided."""
_LONGEST_MINUTES = 24 * 60
"""Nobody measures longer than a day to tell two steps apart."""
NAMED = 3
"""How many warnings the answer names; the table has them all."""


def answer_text(result: RunResult, choices: list[Choice]) -> str:
    """The answer with its notes, one line each."""
    return "\n".join([*answer_lines(result, choices), *answer_notes(result, choices)])


def answer_lines(result: RunResult, choices: list[Choice]) -> list[str]:
    """The opening of the report: first what holds for the whole run, then a line per payload.

    A payload's line says what to use, what it gives and costs, what a search found, and how sure that is.
    """
    lines = _openings(result)
    if result.locust is not None and choices and not any(choice.compared for choice in choices):
        return [*lines, locust_answer(result)]
    if not choices or not any(choice.candidates for choice in choices):
        return [*lines, "Nothing was measured: no step has a request that was answered inside its window."]
    several = len(choices) > 1
    for choice in choices:
        sentences = shape_sentences(result, choice) if result.shaped else _sentences(result, choice)
        lines.append(f"{choice.payload}: {' '.join(sentences)}" if several else " ".join(sentences))
    return lines


def answer_notes(result: RunResult, choices: list[Choice]) -> list[str]:
    """What else matters to the answer: doubts, warnings, the runner-up, undecided steps, unknown prices."""
    notes = []
    several = len(choices) > 1
    for choice in choices:
        own = []
        if choice.best is not None and choice.compared:
            own += _doubts(result, choice)
            own += _warnings(choice, choice.best)
            own += _runner_up(result, choice)
            own += _open_sentences(choice, choice.best)
        for experiment in result.experiments:
            own += early_end_sentences(choice, experiment)
        if choice.unpriced:
            own.append(f"No price is known for {listed(choice.unpriced)}, so it is not compared.")
        notes += [f"{choice.payload}: {note}" if several else note for note in own]
    return notes + _savings(result)


def _savings(result: RunResult) -> list[str]:
    """What ended early: because it was measured enough, or because an endpoint was saturated."""
    notes = []
    for experiment in result.experiments:
        dwell = dwell_of(experiment, result.plan)
        if dwell is not None and (sentence := saving_sentence(dwell, experiment.deployed)):
            notes.append(sentence)
        saving = saving_of(experiment, result.plan)
        if saving is None:
            continue
        others = f" and leaving out {plural(saving.left_out, 'higher rate')}" if saving.left_out else ""
        price = "" if saving.usd is None else f" and {dollars(saving.usd)}"
        notes.append(
            f"{as_subject(experiment.deployed)} did not keep up with {level_name(saving.saturated)}: "
            f"ending that step early{others} saved {duration(saving.seconds)}{price}."
        )
    return notes


def _openings(result: RunResult) -> list[str]:
    lines = []
    if result.rehearsal:
        lines.append("Rehearsal: a simulated endpoint. None of these figures is from AWS.")
    if result.state == "interrupted":
        lines.append("The run was interrupted; the answer covers what was measured.")
    elif result.state in ("failed", "running"):
        why = f" ({result.error})" if result.error else ""
        lines.append(f"The run did not finish{why}; the answer covers what was measured.")
    return lines


def _sentences(result: RunResult, choice: Choice) -> list[str]:
    """What to use, what it gives and costs, how sure; or why nothing can be recommended."""
    best = choice.best
    if best is None:
        own = [e for e in result.experiments if e.payload == choice.payload]
        searched = [sentence for e in own for sentence in search_sentences(choice, e)]
        return [nothing_passes(result, choice), *searched]
    sentences = [_recommendation(result, choice, best), _figures(choice, best)]
    sentences += search_sentences(choice, best.experiment)
    if choice.win_share is not None:
        sentences.append(_how_sure(choice))
    return sentences


def _runner_up(result: RunResult, choice: Choice) -> list[str]:
    if choice.runner_up is None or choice.extra_cost is None or choice.extra_share is None:
        return []
    assumed = " at an assumed price" if result.assumed_price else ""
    if choice.extra_cost.unit == "usd":
        each = f"{request_price(choice.extra_cost.value)} per {PER_REQUESTS}{assumed}"
        difference = f"costs {percent(choice.extra_share)} more ({each})"
    else:
        fewer = choice.extra_share / (1 + choice.extra_share)
        difference = f"does {percent(fewer)} fewer requests per instance"
    return [f"The runner-up, {candidate_label(choice.runner_up)}, {difference}."]


def _recommendation(result: RunResult, choice: Choice, best: Candidate) -> str:
    slo = slo_label(result)
    within = f"that meets {slo}" if slo else "measured (no SLO was set)"
    use = (
        "Use" if choice.win_share is None or choice.win_share >= DECIDED else "Not decided yet; for now, use"
    )
    if not choice.priced:
        return f"{use} {candidate_label(best)}: the highest throughput {within}; no price is known."
    return f"{use} {candidate_label(best)}: it is the cheapest choice {within}."


def _figures(choice: Choice, best: Candidate) -> str:
    """What the recommended step gives, and what it costs."""
    step = best.step
    facts = [measured(check) for check in best.checks]
    if not facts and "e2e" in step.latency:
        facts.append(f"mean E2E {milliseconds(step.latency['e2e'].mean)}")
    if step.errors.rate:
        facts.append(f"{percent(step.errors.rate)} errors")
    gives = f"It serves {number(step.throughput.per_minute)} requests/min" + (
        f" with {listed(facts)}" if facts else ""
    )
    if not choice.priced or step.cost.per_request is None:
        return f"{gives}."
    assumed = " at an assumed price" if best.experiment.price.assumption else ""
    interval = step.cost.per_request_interval
    sure = ""
    if interval is not None:
        sure = f" (95% interval {request_price(interval.low)} to {request_price(interval.high)})"
    return f"{gives}, for {request_price(step.cost.per_request)} per {PER_REQUESTS}{assumed}{sure}."


def _warnings(choice: Choice, best: Candidate) -> list[str]:
    """The trust warnings of the recommended step, and the best step without any."""
    reasons = list(dict.fromkeys(reason.title for reason in best.step.trust.reasons))
    if not reasons:
        return []
    more = len(reasons) - NAMED
    named = reasons[:NAMED] + ([f"{more} more"] if more > 0 else [])
    text = f"The recommended step has warnings: {listed(named)}."
    sound = [c for c in choice.competing if c.passes and c.step.trust.level == "pass"]
    if (other := cheapest(sound)) is not None:
        price = ""
        if choice.priced and other.step.cost.per_request is not None:
            price = f" ({request_price(other.step.cost.per_request)} per {PER_REQUESTS})"
        text += f" The {_better(choice)} without warnings is {candidate_label(other)}{price}."
    return [text]


def _how_sure(choice: Choice) -> str:
    drawn = min(choice.win_share or 0.0, 1 - 1 / RESAMPLES)  # a thousand draws show no more
    return f"The probability that this is the best of those measured is {confidence(drawn)}."


def _doubts(result: RunResult, choice: Choice) -> list[str]:
    """Which other step may be the best, and how many more minutes would decide."""
    contender = choice.contender
    if choice.win_share is None or choice.sure or contender is None:
        return []
    if contender.passes:
        why = f"{as_subject(candidate_label(contender))} may be better"
    elif contender.slo_status == "open":
        why = _open(choice, contender)
    else:
        near = listed(_near(result, contender))
        why = f"{as_subject(candidate_label(contender))} misses the SLO by no more than noise ({near})"
    if not choice.more_minutes_needed:
        return [f"{why}."]
    if max(minutes for _, minutes in choice.more_minutes_needed) > _LONGEST_MINUTES:
        return [f"{why}; the two are too close for a longer measurement to tell them apart."]
    return [f"{why}; about {_longer(choice.more_minutes_needed, contender)} would settle it."]


def _longer(needed: list[tuple[Candidate, float]], contender: Candidate) -> str:
    """How many more minutes, and where: ``3 more minutes at each of the two``."""
    first = more_minutes(needed[0][1])
    if len(needed) > 1 and {more_minutes(minutes) for _, minutes in needed} == {first}:
        return f"{first} at each of the two"
    if [candidate for candidate, _ in needed] == [contender]:
        return f"{first} there"
    return listed(
        [f"{more_minutes(minutes)} at {candidate_label(candidate)}" for candidate, minutes in needed]
    )


def _near(result: RunResult, contender: Candidate) -> list[str]:
    """What the contender misses or has not measured, in figures."""
    limits = [f"{measured(f)}, limit {f.objective.limit}" for f in contender.checks if f.status != "met"]
    return limits or [f"{percent(contender.step.errors.rate)} errors, {errors_allowed(result)}"]


def _open_sentences(choice: Choice, best: Candidate) -> list[str]:
    """Steps that may turn out better once they have enough samples."""
    text = []
    for candidate in choice.competing:
        contended = candidate is choice.contender and not choice.sure
        if candidate.slo_status != "open" or not candidate.step.usable or contended:
            continue
        if candidate.cheaper_than(best):
            wait = max((f.more_minutes or 0 for f in candidate.checks if f.status == "open"), default=0)
            text.append(f"{_open(choice, candidate)}; about {more_minutes(wait or None)} would settle it.")
    return text


def _open(choice: Choice, candidate: Candidate) -> str:
    """What an open step would be, and why it cannot be judged."""
    first = max((f for f in candidate.checks if f.status == "open"), key=lambda f: f.more_minutes or 0)
    assert choice.best is not None  # noqa: S101 - only written beside one
    would = "would be cheaper but cannot" if choice.priced else "would do more requests but cannot"
    if not candidate.cheaper_than(choice.best):
        would = "cannot"
    return (
        f"{as_subject(candidate_label(candidate))} {would} be judged yet: {first.samples} samples "
        f"are too few for {first.objective.name}"
    )


def _better(choice: Choice) -> str:
    return "cheapest" if choice.priced else "highest throughput"
