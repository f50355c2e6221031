"""The input of a load as a file in the run folder, with the prompts that are made for it."""

import time
from pathlib import Path

from bench.experiments import experiment_of, live_facts
from bench.format_probe import find_format
from bench.made_prompts import make_mix, make_prompts
from bench.prepare import PreparedRun
from bench.session_probe import check_sessions
from common.errors import writing
from configs.experiment import Experiment
from configs.plan import Plan
from deploy.lifecycle.endpoint import Deployment
from deploy.spec.endpoint_spec import EndpointSpec
from runfolder.layout import MADE_PAYLOAD
from runfolder.manifest import ExperimentEntry


def made_payload(folder: Path, entry: ExperimentEntry) -> Path:
    """The file of prompts that are made for a load."""
    return (folder / f"{entry.locust_prefix}{MADE_PAYLOAD}").resolve()


def experiment_file(folder: Path, entry: ExperimentEntry) -> Path:
    """The file with the input of a load."""
    return folder / f"{entry.locust_prefix}_experiment.json"


def write_experiment(
    prepared: PreparedRun,
    entry: ExperimentEntry,
    spec: EndpointSpec,
    deployment: Deployment,
    *,
    bodies: Path | None,
    spent_usd: float | None,
) -> Path:
    """Write what the load must know to a file in the run folder, and make its prompts if needed.

    Args:
        prepared: the run; its manifest gets what was found out.
        entry: the experiment.
        spec: of its endpoint.
        deployment: its endpoint.
        bodies: a file of the bodies that are replayed.
        spent_usd: what the run has cost so far.

    Raises:
        UserError: the prompts cannot be made, the container opens no session that the plan asks for, or a
            quick check finds no format that the endpoint answers in.
    """
    given = prepared.payloads.get(entry.payload)

    def experiment_for(plan: Plan) -> Experiment:
        return experiment_of(
            plan,
            entry.name,
            given or made_payload(prepared.folder, entry),
            deployment,
            region=spec.region,
            run_id=prepared.run_id,
            folder=prepared.folder,
            bodies=bodies,
            live=live_facts(
                plan,
                entry,
                spent_usd=spent_usd,
                now=time.time(),
                expected_usd=prepared.preflight.estimate.longest_usd,
                page=prepared.options.view.address,
            ),
        )

    experiment = experiment_for(prepared.plan)
    if prepared.options.quick:
        found = find_format(prepared.clients.renewed(), experiment)
        update = {"request_schema": found.schema, "stream": found.stream}
        workload = prepared.plan.workload.model_copy(update=update)
        prepared.manifest.plan["workload"] |= {"schema": found.schema, "stream": found.stream}
        experiment = experiment_for(prepared.plan.model_copy(update={"workload": workload}))
    if experiment.sticky is not None:
        entry.session_probes = check_sessions(prepared.clients.renewed(), experiment, experiment.sticky)
    if given is None:
        _make_prompts(prepared, entry, experiment)
    file = experiment_file(prepared.folder, entry)
    with writing(file):
        file.write_text(experiment.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8")
    return file


def _make_prompts(prepared: PreparedRun, entry: ExperimentEntry, experiment: Experiment) -> None:
    """Make the prompts of an experiment whose lengths the plan states."""
    prepared.options.view.enter("prompts")
    workload, clients = prepared.plan.workload, prepared.clients.renewed()
    if workload.mix is not None:
        entry.made_prompts = make_mix(workload.specs, experiment, clients)
    else:
        payload = next(spec for spec in workload.payload if spec.label == entry.payload)
        entry.made_prompts = make_prompts(payload, experiment, clients)
