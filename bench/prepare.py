"""Everything that happens before a run: its specs, its checks and its manifest. Creates nothing."""

import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import provenance
from bench.backend import Backend
from bench.checks import CheckedPayload
from bench.experiments import entries_of
from bench.live_page.run_view import RunView
from bench.locust_process import LoadOptions
from bench.monitoring.otlp_environment import HEADERS as OTLP_HEADERS
from bench.terminal import print_status
from bench.traces import ReplayedTrace, read_replayed_trace, trace_size
from common.errors import UserError, writing
from configs.plan import Plan
from deploy.aws.clients import Clients
from deploy.lifecycle.ledger import Ledger
from deploy.preflight.preflight import Preflight, preflight
from deploy.spec.endpoint_spec import EndpointSpec
from runfolder.layout import create_run_folder, locust_prefix, new_run_folder
from runfolder.manifest import Manifest, Notice, PriceQuote
from runfolder.replayed_trace import TRACE, write_trace

_PREFIXES_LOST = (
    "The trace's prompts share prefixes, and the payload's do not. To replay them, give "
    "workload.payload the trace's file as lengths."
)


@dataclass(frozen=True)
class RunOptions:
    """How to play a plan. ``load`` says whether Locust runs headless, with its web UI, or as a master."""

    results: Path
    load: LoadOptions
    plan_file: Path | None = None
    rehearse: bool = False
    full_windows: bool = False
    quick: bool = False
    """Find the endpoint's format first, and say in a paragraph how it does, in place of a report."""
    view: RunView = field(default_factory=RunView)
    """Takes how the run stands, for the live page."""


@dataclass(frozen=True)
class PreparedRun:
    """A run that passed every check and may start. Nothing is created yet, not even its folder."""

    plan: Plan
    """As it will be played: an existing endpoint has the instances that AWS reports."""
    options: RunOptions
    backend: Backend
    clients: Clients
    ledger: Ledger
    preflight: Preflight
    payloads: Mapping[str, Path | None]
    """File of each payload of the plan, by its label; None if its prompts are made for the run."""
    trace: ReplayedTrace
    folder: Path
    """The run folder to be."""
    manifest: Manifest
    """The manifest as it stands at the start; `play` keeps it up to date."""

    @property
    def run_id(self) -> str:
        """Unique among all hosts; it is in the tags and the ledger lines of what the run creates."""
        return self.manifest.run_id

    def show_in_view(self, spent_usd: Callable[[], float | None]) -> None:
        """Tell the live page what is played, and at what cost."""
        view, budget = self.options.view, self.plan.budget
        view.plan, view.run_id, view.folder = self.plan.name, self.run_id, self.folder
        view.rehearsal = self.options.rehearse
        view.expected_usd, view.max_spend_usd = self.preflight.estimate.longest_usd, budget.max_spend_usd
        view.spent_usd = spent_usd
        view.enter("workers" if self.options.load.workers_elsewhere else "check")

    @property
    def facts(self) -> dict[str, Any]:
        """What is played, for programs."""
        return {
            "run": self.run_id,
            "folder": str(self.folder),
            "plan": self.plan.name,
            "rehearsal": self.options.rehearse,
            "search": self.plan.load.search is not None,
            "experiments": [entry.name for entry in self.manifest.experiments],
            "steps": sum(len(entry.steps) for entry in self.manifest.experiments),
            "expected_usd": self.preflight.estimate.longest_usd,
            "max_spend_usd": self.plan.budget.max_spend_usd,
        }

    def create_folder(self) -> None:
        """Create the run folder, with the plan's file and the trace that is replayed.

        Raises:
            UserError: another run began in the same second, or the disk is full.
        """
        folder, plan_file = self.folder, self.options.plan_file
        try:
            create_run_folder(folder)
        except FileExistsError:
            raise UserError(f"{folder}: another run began in the same second", "start again") from None
        if plan_file:
            with writing(copy := folder / plan_file.name):
                shutil.copyfile(plan_file, copy)
        if self.trace.rows:
            with writing(folder / TRACE):
                write_trace(folder, self.trace.rows)


def prepare(backend: Backend, options: RunOptions, payloads: Mapping[str, CheckedPayload]) -> PreparedRun:
    """Resolve the plan's specs, check them against the account, and describe the run.

    Args:
        backend: where the plan is played; has the plan.
        options: how it is played.
        payloads: file and facts of each payload of the plan, from `checks.check_plan`.

    Raises:
        UserError: a check stops the run; nothing was created.
    """
    clients, trace = Clients.for_endpoint(backend.plan.endpoint), read_replayed_trace(backend.plan)
    files = {name: payload.path for name, payload in payloads.items()}
    folder = new_run_folder(options.results, backend.plan.name)
    # Two runs of one plan may start in the same second, on two hosts or into two results folders.
    run_id = f"{folder.name}-{secrets.token_hex(2)}"
    ledger = Ledger(backend.ledger_folder)
    checked = preflight(
        backend.plan,
        lambda: clients,
        ledger,
        payloads=[payload.facts for payload in payloads.values()],
        results=options.results,
        run_id=run_id,
        assumption=backend.assumed_price,
        boot_s=backend.boot_s,
        trace=trace_size(trace.rows),
    )
    _check_preflight(checked)
    if checked.plan.load.search is not None:
        checked = replace(checked, specs=cheapest_first(checked.specs, checked.quotes))
    withheld = replace(options.load, withheld=backend.plan.token_variables | OTLP_HEADERS)
    options = replace(options, load=withheld)
    return PreparedRun(
        plan=checked.plan,
        options=options,
        backend=backend,
        clients=clients,
        ledger=ledger,
        preflight=checked,
        payloads=files,
        trace=trace,
        folder=folder,
        manifest=_manifest(
            run_id, backend, options, checked, files, notices=_notices(backend, checked, trace)
        ),
    )


def cheapest_first(
    specs: Sequence[EndpointSpec], quotes: Mapping[str, PriceQuote]
) -> tuple[EndpointSpec, ...]:
    """The order in which searches are played: by the price of the instance, types without a price last.

    What a type needs to beat the cheap ones is then known before its expensive minutes begin.
    """
    prices = {kind: quote.usd_per_hour for kind, quote in quotes.items()}
    return tuple(sorted(specs, key=lambda spec: prices.get(spec.instance_type) or float("inf")))


def _check_preflight(checked: Preflight) -> None:
    """Print the warnings of a preflight.

    Raises:
        UserError: the first check that stops the run, with its remedy.
    """
    for check in checked.checks:
        if check.level == "warning":
            print_status(f"warning: {check}")
    if stops := checked.stops:
        more = f" (and {len(stops) - 1} more: `make plan` shows all)" if len(stops) > 1 else ""
        first = stops[0]
        raise UserError(f"{first.name}: {first.finding}", f"{first.remedy}{more}", first.setting)


def _manifest(
    run_id: str,
    backend: Backend,
    options: RunOptions,
    checked: Preflight,
    payloads: Mapping[str, Path | None],
    *,
    notices: list[Notice],
) -> Manifest:
    """The manifest of a run that has not started: one entry per experiment."""
    plan = checked.plan
    entries = [
        entry
        for spec in checked.specs
        for entry in entries_of(
            plan,
            spec,
            checked.quotes[spec.instance_type],
            payloads,
            backend.instance_label(spec.instance_type),
        )
    ]
    for index, entry in enumerate(entries):
        entry.locust_prefix = locust_prefix(index, len(entries))
    return Manifest(
        run_id=run_id,
        plan=plan.model_dump(mode="json", by_alias=True),
        plan_file=options.plan_file.name if options.plan_file else None,
        notices=notices,
        rehearsal=options.rehearse,
        experiments=entries,
        started_at=time.time(),
        versions=provenance.versions(),
        host=provenance.host(),
        calibration=provenance.calibration(),
        seed=plan.load.seed,
    )


def _notices(backend: Backend, checked: Preflight, trace: ReplayedTrace) -> list[Notice]:
    """What every page must say: how the run was rehearsed, and how endpoint or load differ from the plan."""
    endpoint = [Notice(kind="endpoint", text=checked.notice)] if checked.notice else []
    lost = [Notice(kind="trace", text=_PREFIXES_LOST)] if trace.prefixes_lost else []
    return [*backend.notices, *endpoint, *lost]
