"""Requests for Application Auto Scaling that hold each instance at the recommended concurrency."""

import re
from typing import Any

from analysis.decide.fleet import HEADROOM, Demand, fleet_of
from analysis.decide.recommendation import Candidate, Choice
from analysis.measure.results import RunResult
from common.formatting import limit_percent

PLACEHOLDER = (1, 10)
"""Least and most instances where no demand was given."""


def autoscaling_policies(
    result: RunResult, choices: list[Choice], demand: Demand | None
) -> dict[str, dict[str, Any]]:
    """File name → content per payload with a recommendation; ``autoscaling.json`` for the only payload.

    An endpoint takes one policy for its variant, so with several payloads the user chooses.
    """
    policies = {}
    for choice in choices:
        if choice.best is not None and _in_flight(choice.best):
            safe = re.sub(r"[^A-Za-z0-9._-]", "_", choice.payload)
            name = "autoscaling.json" if len(choices) == 1 else f"autoscaling_{safe}.json"
            policies[name] = autoscaling(choice.best, result.plan, demand)
    return policies


def autoscaling(
    best: Candidate, plan: dict[str, Any], demand: Demand | None = None, headroom: float = HEADROOM
) -> dict[str, Any]:
    """The requests for one recommended step.

    The target is the step's requests in flight per instance (per copy of an inference component) /
    (1 + headroom),
    by the high-resolution metric of requests in flight: it sees a queue before the throughput does. Between
    the quietest and the busiest hour of the demand the capacity is the fleet table's, the spare included.
    """
    experiment = best.experiment
    copies = _copies(best, plan)
    least, most = PLACEHOLDER
    limits = "no demand was given: MinCapacity and MaxCapacity are placeholders, set your own"
    if demand is not None:
        fleet = fleet_of(best, demand, headroom)
        least, most = fleet.least + fleet.spare, fleet.instances + fleet.spare
        limits = "MinCapacity and MaxCapacity carry the demand's quietest and busiest hour, with the spare"
    units = copies or experiment.instance_count
    each = _in_flight(best) / units
    per_instance = units / experiment.instance_count
    scalable, metric = _scalable(best, component=copies is not None)
    unit = "instance" if copies is None else f"copy ({copies} copies carried the load)"
    target = round(max(0.1, each / (1 + headroom)), 2)
    return {
        "about": f"For payload {experiment.payload} on {experiment.instance}: {target:g} requests in flight "
        f"per {unit}, the recommended {each:.3g} less {limit_percent(headroom)} headroom; "
        f"{limits}.",
        "register_scalable_target": scalable
        | {"MinCapacity": round(least * per_instance), "MaxCapacity": round(most * per_instance)},
        "put_scaling_policy": scalable
        | {
            "PolicyName": "hold-the-recommended-concurrency",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": target,
                "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
                "ScaleOutCooldown": 60,
                "ScaleInCooldown": 600,
            },
        },
    }


def _scalable(best: Candidate, *, component: bool) -> tuple[dict[str, str], str]:
    """What is scaled, and the metric of its requests in flight."""
    if component:
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"inference-component/{best.experiment.component}",
            "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
        }, "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
    endpoint = best.experiment.endpoint.get("endpoint") or {}
    name = endpoint.get("EndpointName") or "ENDPOINT-NAME"
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{_variant(endpoint)}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }, "SageMakerVariantConcurrentRequestsPerModelHighResolution"


def _in_flight(best: Candidate) -> float:
    """Requests in flight: the concurrency of a closed loop, the measured mean of an open loop."""
    return best.step.concurrency or best.step.in_flight.mean or 0.0


def _copies(best: Candidate, plan: dict[str, Any]) -> int | None:
    """Copies of the inference component; one per instance where the plan names none. None without one."""
    if best.experiment.component is None:
        return None
    planned = (plan.get("endpoint") or {}).get("components") or [{}]
    return int(planned[0].get("copies") or best.experiment.instance_count)


def _variant(endpoint: dict[str, Any]) -> str:
    variants = endpoint.get("ProductionVariants")
    if isinstance(variants, list) and variants and isinstance(variants[0], dict):
        return str(variants[0].get("VariantName") or "AllTraffic")
    return "AllTraffic"
