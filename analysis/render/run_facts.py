"""What was measured and how: the facts at the top of a report and those of its last section."""

from collections.abc import Iterable, Mapping
from typing import Any

from analysis.decide.trust import accurate_concurrency
from analysis.measure.results import ExperimentResult, RunResult
from analysis.render.length_facts import made_prompts_text
from analysis.render.no_recommendation_text import errors_allowed
from analysis.render.prices import assumed_mark
from common.formatting import ABSENT, count, hourly_price, limit_percent, listed, percent, utc
from runfolder.percentiles import percentile

_DTYPES = ("OPTION_DTYPE", "SM_VLLM_DTYPE", "VLLM_DTYPE", "DTYPE")
_QUANTIZATIONS = (
    "OPTION_QUANTIZE",
    "SM_VLLM_QUANTIZATION",
    "HF_MODEL_QUANTIZE",
    "QUANTIZE",
    "VLLM_QUANTIZATION",
)
_PARALLEL = (
    "OPTION_TENSOR_PARALLEL_DEGREE",
    "TENSOR_PARALLEL_DEGREE",
    "SM_VLLM_TENSOR_PARALLEL_SIZE",
    "SM_NUM_GPUS",
    "NUM_SHARD",
)
"""What the containers of AWS, Hugging Face and vLLM call these settings."""


def run_facts(result: RunResult) -> list[tuple[str, str]]:
    """Name and value of each known fact; what the run folder does not say is left out."""
    facts = [
        ("instances", _instances(result)),
        ("image", _each(image_name(e.endpoint) for e in result.experiments)),
        ("dtype", _each(_setting(e, _DTYPES) for e in result.experiments)),
        ("quantization", _each(_setting(e, _QUANTIZATIONS) for e in result.experiments)),
        ("tensor parallel", _each(_setting(e, _PARALLEL) for e in result.experiments)),
        *_made_prompts(result),
        ("prompt length", _lengths(result, "prompt_tokens")),
        ("answer length", _lengths(result, "completion_tokens")),
        ("answers", _streamed(result)),
        ("prefix cache", _cache(result)),
        ("region", _each([*(_region(e) for e in result.experiments), _planned_region(result)][:1])),
        ("discount", _discount(result)),
    ]
    return [(name, value) for name, value in facts if value]


def _made_prompts(result: RunResult) -> list[tuple[str, str | None]]:
    several = len({experiment.payload for experiment in result.experiments}) > 1
    return [
        (f"prompts of {e.payload}" if several else "prompts", made_prompts_text(e))
        for e in {experiment.payload: experiment for experiment in result.experiments}.values()
    ]


def _instances(result: RunResult) -> str:
    named = {}
    for e in result.experiments:
        price = ""
        if e.usd_per_hour is not None:
            assumed = "an assumed " if e.price.assumption else ""
            price = f" at {assumed}{hourly_price(e.usd_per_hour)} per instance-hour"
        named[e.deployed] = f"{e.deployed}{price}"
    return "; ".join(named.values())


def _each(values: Iterable[str | None]) -> str:
    """The distinct known values."""
    return listed(list(dict.fromkeys(value for value in values if value)))


def _containers(described: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    components = _items(described, "inference_components")
    parts = [(part.get("Specification") or {}).get("Container") for part in components]
    models = [model.get("PrimaryContainer") for model in _items(described, "models")]
    return [container for container in (*parts, *models) if isinstance(container, dict)]


def _items(described: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = described.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def image_name(endpoint: Mapping[str, Any]) -> str | None:
    """The image of a described endpoint: ``djl-inference:0.33.0-lmi15.0.0``, without the registry."""
    for container in _containers(endpoint):
        deployed = container.get("DeployedImage") or {}
        image = container.get("Image") or deployed.get("SpecifiedImage")
        if isinstance(image, str):
            return image.rpartition("/")[2]
    return None


def _setting(experiment: ExperimentResult, names: tuple[str, ...]) -> str | None:
    for container in _containers(experiment.endpoint):
        variables = container.get("Environment") or {}
        for name in names:
            if value := variables.get(name):
                return str(value)
    return None


def _lengths(result: RunResult, name: str) -> str | None:
    """The median of the steps' medians, and the extremes: ``276 tokens (median; 150 to 420)``."""
    found = [step.tokens[name] for step in result.steps if step.usable and name in step.tokens]
    if not found:
        return None
    middle = percentile(sorted(d.percentiles[50] for d in found), 50)
    ends = [end for d in found for end in (d.low, d.high) if end is not None]
    return f"{count(middle)} tokens (median; {count(min(ends))} to {count(max(ends))})"


def _streamed(result: RunResult) -> str | None:
    stream = (result.plan.get("workload") or {}).get("stream")
    return None if stream is None else "streamed" if stream else "not streamed"


def _cache(result: RunResult) -> str | None:
    """Cold where every prompt has a beginning of its own; how much came from the cache, where known."""
    shares = [step.answers.cached_share for step in result.steps if step.answers.cached_share is not None]
    unique = (result.plan.get("workload") or {}).get("unique_prefix")
    what = "prompt" if all(step.conversations is None for step in result.steps) else "conversation"
    kind = (
        None if unique is None else f"cold (every {what} is unique)" if unique else f"warm ({what}s repeat)"
    )
    if any(e.made_prompts and e.made_prompts.prefix_groups for e in result.experiments):
        kind = "warm for shared prefixes"
    if not shares or not max(shares):
        return kind
    share = f"up to {percent(max(shares))} of the prompt tokens were cached"
    return share if kind is None else f"{kind}; {share}"


def _region(experiment: ExperimentResult) -> str | None:
    arn = str((experiment.endpoint.get("endpoint") or {}).get("EndpointArn") or "").split(":")
    return arn[3] if len(arn) > 3 and arn[3] else None


def _planned_region(result: RunResult) -> str | None:
    region = (result.plan.get("endpoint") or {}).get("region")
    return region if isinstance(region, str) else None


def _discount(result: RunResult) -> str | None:
    factor = (result.plan.get("price") or {}).get("discount")
    if not isinstance(factor, int | float) or factor == 1:
        return None
    return f"{percent(1 - factor)} off the list price"


def run_details(result: RunResult) -> list[tuple[str, str]]:
    """Name and value: state, times, objectives, prices, versions, host and random seed."""
    error = f": {result.error}" if result.error else ""
    objectives = listed([o.label for o in result.objectives]) or "none for latency"
    return [
        ("state", f"{result.state}{error}"),
        ("started, ended (UTC)", f"{utc(result.started_at)}, {utc(result.ended_at)}"),
        ("service level objectives", f"{objectives}; {_error_limit(result)}"),
        *_prices(result).items(),
        *((name, str(version)) for name, version in result.versions.items()),
        *((name, str(value)) for name, value in result.host.items()),
        ("random seed", ABSENT if result.seed is None else str(result.seed)),
    ]


def _error_limit(result: RunResult) -> str:
    if result.error_rate_slo is None:
        return f"no limit on errors ({errors_allowed(result)})"
    return f"errors ≤ {limit_percent(result.error_rate_slo)}"


def _prices(result: RunResult) -> dict[str, str]:
    """The price of each instance with its source and date."""
    prices = {}
    for e in result.experiments:
        price = ABSENT if e.usd_per_hour is None else f"{hourly_price(e.usd_per_hour)} per instance-hour"
        price += assumed_mark(assumed=e.price.assumption and e.usd_per_hour is not None)
        date = f"; as of {e.price.as_of}" if e.price.as_of else ""
        prices[f"price of {e.instance}"] = f"{price}; source: {e.price.source or ABSENT}{date}"
    return prices


def calibration_sentence(result: RunResult) -> str | None:
    """How many streams this load generator measures accurately; None if the machine was not calibrated."""
    limits = accurate_concurrency(result.calibration)
    if not limits:
        return None
    accurate = [f"up to {limit} streams per worker over {name}" for name, limit in limits.items() if limit]
    if not accurate:
        return "Calibration: this machine did not measure a single stream accurately."
    return f"Calibration: this load generator measures accurately {listed(accurate)}."
