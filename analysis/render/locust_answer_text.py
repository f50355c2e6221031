"""What was measured, without a recommendation: of a foreign Locust run of a single level, and of a shape."""

from analysis.importers.locust.entries import failing_names
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.render.levels import level_name
from common.formatting import dollars, duration, hourly_price, listed, milliseconds, number, percent, plural


def locust_answer(result: RunResult) -> str:
    """What the only level, or the whole run, did; which names failed; why nothing is recommended."""
    sentences = [text for experiment in result.experiments for text in level_sentences(experiment)]
    if result.locust is not None:
        names = sum(entry.count > 0 for entry in result.locust.requests)
        if names > 1:
            sentences.append(f"These are {plural(names, 'name')} together; the tables below have each.")
        sentences += failing_names(result.locust.requests)
    sentences.append(
        "A single level can be compared with nothing, so nothing is recommended: "
        "run several numbers of users to find the cheapest."
    )
    return " ".join(sentences)


def level_sentences(experiment: ExperimentResult) -> list[str]:
    """One sentence per step: users or piece, rate, errors, response time, price."""
    return [_sentence(experiment, step) for step in experiment.steps]


def _load(step: StepResult) -> str:
    """``8 users``, ``an unknown number of users``; of a shape ``piece 2 (2 to 12 requests/s)``."""
    if step.piece is not None:
        return f"piece {step.piece} ({level_name(step)})"
    return "an unknown number of users" if step.concurrency is None else plural(step.concurrency, "user")


def _sentence(experiment: ExperimentResult, step: StepResult) -> str:
    where = f"{experiment.name}, {_load(step)}"
    if step.throughput.completions is None:
        where += ", mean over the whole run with its ramp"
    elif step.window is not None:
        where += f", over {duration(step.window.seconds)}"
    rate = step.throughput.per_minute
    facts = [] if rate is None else [f"{number(rate)} answered requests/min"]
    if step.errors.rate:
        facts.append(f"{percent(step.errors.rate)} of all requests failed")
    e2e = step.latency.get("e2e")
    if e2e is not None:
        facts.append(f"mean response time {milliseconds(e2e.mean)}")
        facts += [f"p95 {milliseconds(p95)}" for p95 in [step.shown("e2e", 95)] if p95 is not None]
    if step.cost.per_request is not None:
        price = (
            f"{dollars(step.cost.per_request)} per request at {hourly_price(experiment.usd_per_hour)} an hour"
        )
        facts.append(price)
    doubt = "" if step.usable else f" This cannot be trusted: {listed(step.trust.texts)}."
    return f"{where}: {', '.join(facts) or 'neither rate nor response time is known'}.{doubt}"
