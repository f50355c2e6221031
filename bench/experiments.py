"""The experiments of a plan: the manifest entry of each, and the input of its load."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from configs.containers import RUNNING_USAGE, Family, family_of
from configs.experiment import Experiment, experiment_name, load_steps, request_parameters, wire_schema
from configs.live_facts import LiveFacts
from configs.plan import Plan
from deploy.lifecycle.endpoint import Deployment
from deploy.spec.endpoint_description import running_container
from deploy.spec.endpoint_spec import EndpointSpec
from runfolder.manifest import ExperimentEntry, PriceQuote


def entries_of(
    plan: Plan, spec: EndpointSpec, price: PriceQuote, payloads: Mapping[str, Path | None], label: str | None
) -> Iterator[ExperimentEntry]:
    """One entry per payload, for one instance type.

    Args:
        plan: as played.
        spec: of the endpoint that will be created.
        price: of its instance type.
        payloads: file of each payload of the plan, by its label; None if its prompts are made for the run.
        label: name of the instance in the report; None for its plain type.
    """
    for payload in plan.workload.labels:
        name, file = experiment_name(spec.instance_type, payload), payloads.get(payload)
        yield ExperimentEntry(
            name=name,
            model=plan.model.name,
            instance_type=spec.instance_type,
            instance_label=label,
            instance_count=spec.instance_count,
            payload=payload,
            payload_file=file.name if file else payload,
            steps=[step.id for step in load_steps(plan.load, name)],
            price=price,
        )


def experiment_of(
    plan: Plan,
    name: str,
    payload: Path,
    deployment: Deployment,
    *,
    region: str,
    run_id: str,
    folder: Path,
    bodies: Path | None = None,
    live: LiveFacts,
) -> Experiment:
    """The input of the load of experiment ``name``, once its endpoint exists."""
    workload = plan.workload
    family = _family(plan, deployment)
    schema = wire_schema(workload, family)
    variant = plan.endpoint.target_variant
    return Experiment(
        name=name,
        run_id=run_id,
        run_folder=folder.resolve(),
        endpoint_name=deployment.endpoint_name,
        component=deployment.component,
        region=region,
        payload=payload,
        tokenizer=Path(plan.model.tokenizer).resolve() if plan.model.tokenizer else None,
        stream=workload.stream,
        request_schema=schema,
        route=workload.route,
        parameters=request_parameters(workload, schema),
        headers=workload.headers | ({"TargetVariant": variant} if variant else {}),
        running_usage=family in RUNNING_USAGE,
        exact_for=family if workload.pin_output else None,
        unique_prefix=workload.unique_prefix,
        samples=workload.samples,
        mix=workload.deck,
        conversation=workload.conversation,
        sticky=workload.sticky,
        steps=load_steps(plan.load, name),
        load=plan.load,
        trace_bodies=bodies,
        live=live,
    )


def live_facts(
    plan: Plan,
    entry: ExperimentEntry,
    *,
    spent_usd: float | None,
    now: float,
    expected_usd: float | None,
    page: str,
) -> LiveFacts:
    """What the live page shows of the plan and its cost.

    Args:
        plan: as played.
        entry: the experiment.
        spent_usd: what the run's endpoints have cost so far, this one included; None without a price.
        now: the time of ``spent_usd``.
        expected_usd: the highest estimate for the whole run.
        page: URL of the live page; empty without one.
    """
    per_instance = entry.price.usd_per_hour
    per_hour = None if per_instance is None else per_instance * entry.instance_count
    return LiveFacts(
        plan=plan.name,
        slo=plan.slo,
        usd_per_hour=per_hour,
        price_assumed=entry.price.assumption,
        spent_usd=spent_usd,
        spent_at=now,
        expected_usd=expected_usd,
        max_spend_usd=plan.budget.max_spend_usd,
        page=page,
    )


def _family(plan: Plan, deployment: Deployment) -> Family | None:
    """The family of the container that serves: from its description, otherwise from the plan."""
    described = running_container(deployment.description, deployment.component)
    if described.image or described.environment:
        return described.family
    if plan.model.source == "jumpstart" and plan.model.image is None:
        return "tgi"
    return family_of(plan.model.image or "", plan.model.env)
