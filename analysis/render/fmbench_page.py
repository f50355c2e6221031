"""The page that this report descends from: its table, its sentences, its cost table, with true figures."""

from analysis.decide.recommendation import Candidate, Choice, cheapest
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.render.locust_answer_text import level_sentences
from analysis.render.no_recommendation_text import not_decided
from analysis.render.prices import assumed_mark
from analysis.render.tables import Column, Table, texts
from common.formatting import ABSENT, code_span, listed, number
from configs.slo import Objective

INFORMATION = (
    ("experiment_name", ""),
    ("payload_file", ""),
    ("instance_type", ""),
    ("concurrency", "requests at once"),
    ("error_rate", "share, 0 to 1"),
    ("prompt_token_count_mean", "tokens"),
    ("prompt_token_throughput", "tokens/s"),
    ("completion_token_count_mean", "tokens"),
    ("completion_token_throughput", "tokens/s"),
    ("latency_mean", "s"),
    ("transactions_per_minute", "requests/min"),
    ("price_per_hour", "US dollars"),
    ("price_per_txn", "US dollars"),
)
"""Names as FMBench's page has them, and the unit of each. In open loop, ``arrival_rate`` for concurrency."""


def information_table(experiment: ExperimentResult, step: StepResult) -> Table:
    """FMBench's summary of one step: name, value and unit of each figure."""
    e2e = step.latency.get("e2e")
    hourly, request = experiment.usd_per_endpoint_hour, step.cost.per_request
    assumed = assumed_mark(assumed=experiment.price.assumption)
    values = (
        experiment.name,
        experiment.payload_file,
        experiment.deployed,
        ABSENT if step.level is None else f"{step.level:.4g}",
        ABSENT if step.errors.rate is None else f"{step.errors.rate:.4g}",
        number(step.tokens_per_request.prompt, 4),
        number(step.throughput.prompt_tokens_per_s, 4),
        number(step.tokens_per_request.completion, 3),
        number(step.throughput.completion_tokens_per_s, 4),
        ABSENT if e2e is None else number(e2e.mean / 1000),
        number(step.throughput.per_minute),
        ABSENT if hourly is None else f"{hourly:g}{assumed}",
        ABSENT if request is None else f"{_price(request)}{assumed}",
    )
    arrivals = ("arrival_rate", f"{step.arrivals_noun}/s")
    labels = [arrivals if label[0] == "concurrency" and step.rate else label for label in INFORMATION]
    rows = [[name, value, unit] for (name, unit), value in zip(labels, values, strict=True)]
    title = f"Information on the best choice for {experiment.payload}"
    return Table(title, texts("Information", "Value", "Unit"), rows, layout="wraps")


def summary_sentences(result: RunResult, choices: list[Choice]) -> list[str]:
    """FMBench's sentence on the best price performance per payload. Its beginning stands once."""
    models = listed([code_span(model) for model in models_of(result)])
    instances = list(dict.fromkeys(e.deployed for e in result.experiments))
    where = " and ".join(f'"{code_span(name)}"' for name in instances)
    noun = "instance" if len(instances) == 1 else "instances"
    plural_models = "model" if len(models_of(result)) == 1 else "models"
    sets = "multiple datasets" if len(choices) > 1 else "one dataset"
    start = (
        f"We did performance benchmarking for the {models} {plural_models} on {where} {noun} on {sets} "
        "and based on the test results "
    )
    parts = [_best_for(choice) for choice in choices]
    return [f"{start}{one}" if i == 0 else f"{one[0].upper()}{one[1:]}" for i, one in enumerate(parts)]


def models_of(result: RunResult) -> list[str]:
    """The models of the run, each once, in the order of its experiments."""
    return list(dict.fromkeys(e.model for e in result.experiments))


def _dataset(result: RunResult, experiment: ExperimentResult) -> str:
    """The payload file, with the model where there are several."""
    model = f" ({experiment.model})" if len(models_of(result)) > 1 else ""
    return experiment.payload_file + model


def _best_for(choice: Choice) -> str:
    if not choice.compared:
        shape = any(candidate.step.piece is not None for candidate in choice.candidates)
        why = "the load was a shape, not a level" if shape else "one level of load was measured"
        return f"{why}, so no instance type can be recommended."
    if choice.best is None:
        return f"no instance type can be recommended for dataset {code_span(choice.payload)}."
    what = "best price performance" if choice.priced else "highest throughput (no price is known)"
    return (
        f"the {what} for dataset {code_span(choice.payload)} is provided by the "
        f"{code_span(choice.best.experiment.deployed)} instance type."
    )


def recommendation_table(result: RunResult, choices: list[Choice]) -> Table:
    """One sentence per payload and instance, in FMBench's wording."""
    rows = [
        [_dataset(result, experiment), experiment.deployed, _recommendation(result, experiment, choices)]
        for experiment in result.experiments
    ]
    columns = [
        Column("Dataset", "code"),
        Column("Instance type", "code"),
        Column("Recommendation", "sentence"),
    ]
    return Table("Recommendation per dataset and instance", columns, rows, layout="stacks")


def _recommendation(result: RunResult, experiment: ExperimentResult, choices: list[Choice]) -> str:
    choice = next((c for c in choices if c.payload == experiment.payload), None)
    if choice is not None and not choice.compared:
        return " ".join(level_sentences(experiment))
    candidates = [c for c in (choice.candidates if choice else []) if c.experiment is experiment]
    best = cheapest(c for c in candidates if c.passes)
    return _sentence(result, experiment, best) if best else _no_combination(result, experiment, candidates)


def _budget(result: RunResult) -> str:
    limits = [f"{o.name} of `{_spelt(o)}`" for o in result.objectives]
    return "a latency budget of " + " and ".join(limits)


def _spelt(objective: Objective) -> str:
    """A limit as FMBench spells it: ``1 second``, ``20 seconds``, ``800 ms``."""
    seconds = objective.limit_ms / 1000
    return f"{seconds:g} second{'' if seconds == 1 else 's'}" if seconds >= 1 else objective.limit


def _price(usd: float) -> str:
    """Six decimals as FMBench has, or as many as three significant digits take."""
    return f"{usd:.6f}" if usd >= 1e-4 else number(usd)


def _sentence(result: RunResult, experiment: ExperimentResult, best: Candidate) -> str:
    step = best.step
    e2e = step.latency.get("e2e")
    within = "price performance (no latency budget was set)"
    if result.objectives:
        within = f"staying within {_budget(result)}"
    achieved = f"A {_level(step)} achieves "
    if e2e is not None:
        achieved += f"an `average latency of {number(e2e.mean / 1000)} seconds`, "
    sizes = ""
    if step.tokens_per_request.prompt is not None and step.tokens_per_request.completion is not None:
        sizes = (
            f"for an `average prompt size of {step.tokens_per_request.prompt:.0f} tokens` and "
            f"`completion size of {step.tokens_per_request.completion:.0f} tokens` "
        )
    return (
        f"The best option for {within} on {code_span(experiment.deployed)} "
        f"for the {code_span(experiment.payload_file)} "
        f"dataset is a `{_level(step)}`. {achieved}{sizes}"
        f"with `{number(step.throughput.per_minute)} transactions/minute`."
    )


def _level(step: StepResult) -> str:
    """``concurrency level of 4``, in FMBench's words; ``rate of 2 requests/s``."""
    if step.rate is not None:
        return f"rate of {step.rate:.4g} {step.arrivals_noun}/s"
    return f"concurrency level of {step.concurrency}"


def _no_combination(result: RunResult, experiment: ExperimentResult, own: list[Candidate]) -> str:
    undecided = not_decided([c for c in own if c.step.usable])
    if undecided is not None:
        return f"For the {code_span(experiment.payload_file)} dataset this is not decided: {undecided}."
    budget = f" within {_budget(result)}" if result.objectives else " that can be trusted"
    return (
        f"This experiment did not find any combination of concurrency level and other configuration settings"
        f"{budget} on {code_span(experiment.deployed)} for the {code_span(experiment.payload_file)} dataset."
    )
