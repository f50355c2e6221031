"""Play a plan from deploy to report. What was created is deleted and what was measured is kept, always."""

import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench import provenance
from bench.backend import Backend, backend_for
from bench.checks import check_plan, payload_facts
from bench.cloudwatch import collect_server_view
from bench.distributed.run_announcer import Beacon
from bench.experiments import entries_of, experiment_of
from bench.locust_process import LoadEnd, LoadOptions, play_load
from bench.terminal import answers, deploy_reporter, say, summary_table
from common.errors import StartedError, UserError, writing
from common.exit_codes import ExitCode
from common.text import printable
from configs.plan import Plan
from deploy.aws.clients import Clients
from deploy.lifecycle.endpoint import Deployment, deployed
from deploy.lifecycle.ledger import Ledger
from deploy.lifecycle.removal import LeftBehindError
from deploy.lifecycle.signals import Interrupted, orderly_exit
from deploy.lifecycle.spend_guard import SpendGuard
from deploy.preflight.preflight import preflight
from deploy.spec.endpoint_spec import Target
from runfolder.layout import (
    CLOUDWATCH,
    LOCUST_LOG,
    MANIFEST,
    create_run_folder,
    locust_prefix,
    new_run_folder,
)
from runfolder.manifest import ExperimentEntry, Manifest, RunState

_STATES: dict[int, RunState] = {ExitCode.OK: "complete", ExitCode.INTERRUPTED: "interrupted"}


@dataclass(frozen=True)
class RunOptions:
    """How to play a plan. ``load`` says whether Locust runs headless, with its web UI, or as a master."""

    results: Path
    load: LoadOptions
    plan_file: Path | None = None
    rehearse: bool = False
    full_windows: bool = False


def play(plan: Plan, options: RunOptions) -> int:
    """Play ``plan``: every mistake is found before anything starts, and every end leaves a report.

    Returns:
        The exit code: 0 when all steps are whole, 1 when a deploy or a load failed, 3 when some steps are
        not whole, 4 when the endpoint refused the requests, 5 when all steps are whole and every one is void,
        128 + signal when it was interrupted.

    Raises:
        UserError: a mistake in the plan or on this machine; nothing was started.
    """
    payloads = check_plan(plan, options.results)
    options.load.check()
    run: _Run | None = None
    try:
        shorten = {"rehearse": options.rehearse, "full_windows": options.full_windows}
        with orderly_exit(), backend_for(plan, **shorten) as backend:
            clients = Clients.for_endpoint(backend.plan.endpoint)
            run = _Run(backend, options, clients, new_run_folder(options.results, plan.name), payloads)
            run.refuse_what_stops()
            with run.beacon:
                if options.load.workers_elsewhere:
                    say(options.load.reach)
                run.beacon.gather(f"{run.backend.worker_keys}make worker MASTER=… TOKEN={options.load.token}")
                run.play()
    except Interrupted as stop:
        begun = run is not None and run.folder.exists()
        say(f"interrupted by {stop} {'while writing the report' if begun else 'before anything was created'}")
        return stop.exit_code
    return run.code


class _Run:
    """One run: its targets are resolved first, so that their mistakes leave no folder behind."""

    def __init__(
        self, backend: Backend, options: RunOptions, clients: Clients, folder: Path, payloads: dict[str, Path]
    ) -> None:
        self.backend = backend
        load = replace(options.load, withheld=backend.plan.token_variables)
        self.options = replace(options, load=load)
        self.clients = clients
        self.folder = folder
        self.payloads = payloads
        # Two runs of one plan may start in the same second, on two hosts or into two results folders.
        self.run_id = f"{folder.name}-{secrets.token_hex(2)}"
        self.ledger = Ledger()
        self.preflight = preflight(
            backend.plan,
            lambda: clients,
            self.ledger,
            payloads=[payload_facts(backend.plan, path) for path in payloads.values()],
            results=options.results,
            run_id=self.run_id,
            assumption=backend.assumed_price,
            boot_s=backend.boot_s,
        )
        self.plan = self.preflight.plan
        self.guard = SpendGuard(self.ledger, self.run_id, self.plan.budget.max_spend_usd)
        self.code: int = ExitCode.OK
        self._no_more: str | None = None  # why nothing more is started
        self.beacon = Beacon(
            folder.name,
            options.load.beacon_address,
            lambda: self.code,
            token=options.load.token,
            wanted=options.load.workers_elsewhere,
        )
        self.manifest = Manifest(
            run_id=self.run_id,
            plan=self.plan.model_dump(mode="json", by_alias=True),
            plan_file=options.plan_file.name if options.plan_file else None,
            notices=[*backend.notices, *([self.preflight.notice] if self.preflight.notice else [])],
            rehearsal=options.rehearse,
            experiments=[entry for target in self.preflight.targets for entry in self._entries(target)],
            started_at=time.time(),
            versions=provenance.versions(),
            host=provenance.host(),
            calibration=provenance.calibration(),
            seed=self.plan.load.seed,
        )
        for index, entry in enumerate(self.manifest.experiments):
            entry.locust_prefix = locust_prefix(index, len(self.manifest.experiments))

    def refuse_what_stops(self) -> None:
        """Tell the warnings, and refuse to start when a check says stop.

        Raises:
            UserError: the first stop, with its remedy; nothing was created.
        """
        for check in self.preflight.checks:
            if check.level == "warning":
                say(f"warning: {check.name}: {check.finding}; {check.remedy}")
        if stops := self.preflight.stops:
            more = f" (and {len(stops) - 1} more: `make plan` shows all)" if len(stops) > 1 else ""
            raise UserError(f"{stops[0].name}: {stops[0].finding}; {stops[0].remedy}{more}")

    def play(self) -> None:
        """Play every target; the manifest says how it ended, the report what was measured."""
        try:
            create_run_folder(self.folder)
        except FileExistsError:
            raise UserError(f"{self.folder}: another run began in the same second; start again") from None
        if self.options.plan_file:
            with writing(copy := self.folder / self.options.plan_file.name):
                shutil.copyfile(self.options.plan_file, copy)
        self._save()
        say(f"run {self.folder.name}: {len(self.manifest.experiments)} experiment(s), {self._steps()} steps")
        try:
            for target in self.preflight.targets:
                if reason := self.guard.reason() or self._no_more or self.beacon.too_few():
                    self._skip(target, f"not started: {reason}")
                else:
                    self._play_target(target)
            with writing(self.folder / CLOUDWATCH):
                collect_server_view(self.folder, self.manifest, self.clients)
            ending = _STATES.get(self.code, "failed")
            errors = dict.fromkeys(entry.error for entry in self.manifest.experiments if entry.error)
            self._close(ending, "; ".join(errors) or None)
        except Interrupted as stop:
            self.code = stop.exit_code
            say(f"interrupted by {stop}: what was measured is kept")
            self._close("interrupted", f"interrupted by {stop}")
        except LeftBehindError as left:
            stopped = left.after if isinstance(left.after, Interrupted) else None
            self.code = stopped.exit_code if stopped else self.code or ExitCode.FAILED
            self._close("interrupted" if stopped else "failed", str(left))
            if not isinstance(left.after, UserError | Interrupted | None):
                raise  # a crash of ours is not hidden behind what it left
        except BaseException as error:
            self._close("failed", f"{type(error).__name__}: {error}")
            raise
        finally:
            self._report()

    def _steps(self) -> int:
        return sum(len(entry.steps) for entry in self.manifest.experiments)

    def _entries(self, target: Target) -> Iterator[ExperimentEntry]:
        kind = target.instance_type
        price, label = self.preflight.quotes[kind], self.backend.instance_label(kind)
        return entries_of(self.plan, target, price, self.payloads, label)

    def _play_target(self, target: Target) -> None:
        """Deploy one instance type and load it with every payload. Its failure does not cost the others."""
        entries = [e for e in self.manifest.experiments if e.instance_type == target.instance_type]
        reporter = deploy_reporter(target.name)
        try:
            with deployed(
                target,
                self.clients,
                self.ledger,
                reporter,
                quote=entries[0].price,
                stop=self.guard.reason,
                meanwhile=self._report_so_far,
            ) as deployment:
                for entry in entries:
                    self._play_experiment(entry, target, deployment)
        except UserError as error:
            say(f"error: {error}")
            self.code = self.code or ExitCode.FAILED
            for entry in entries:
                entry.error = entry.error or str(error)
                entry.state = "failed" if entry.state == "running" else entry.state
            if isinstance(error, LeftBehindError) and error.ends_the_run:
                raise
        finally:
            self._remember_bill(target, entries)
            self._save()

    def _remember_bill(self, target: Target, entries: list[ExperimentEntry]) -> None:
        """When billing began and ended, by the ledger: an endpoint that never came into service costs too."""
        for item in self.ledger.items(self.run_id):
            if item.kind == "endpoint" and item.name == target.name and item.state != "refused":
                for entry in entries:
                    entry.create_started_at, entry.deleted_at = item.created_at, item.closed_at

    def _skip(self, target: Target, reason: str) -> None:
        say(f"{target.instance_type}: {reason}")
        for entry in self.manifest.experiments:
            if entry.instance_type == target.instance_type:
                entry.error, entry.state = reason, "failed"
        self.code = self.code or ExitCode.FAILED

    def _play_experiment(self, entry: ExperimentEntry, target: Target, deployment: Deployment) -> None:
        entry.endpoint_name, entry.component = deployment.endpoint_name, deployment.component
        entry.endpoint = deployment.description
        entry.create_started_at = deployment.create_started_at
        entry.in_service_at = deployment.in_service_at
        entry.load_started_at = time.time()
        self._save()
        experiment_file = self.folder / f"{entry.locust_prefix}_experiment.json"
        experiment = experiment_of(
            self.plan,
            entry.name,
            self.payloads[entry.payload],
            deployment,
            region=target.region,
            run_id=self.run_id,
            folder=self.folder,
        )
        with writing(experiment_file):
            experiment_file.write_text(
                experiment.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8"
            )
        try:
            with self.beacon.load():
                end = play_load(
                    experiment_file,
                    self.folder / entry.locust_prefix,
                    self.options.load,
                    spent_too_much=self.guard.exceeded,
                )
        except BaseException:
            entry.state = "interrupted"
            raise
        finally:
            entry.load_ended_at = time.time()
        self._judge(entry, end)

    def _judge(self, entry: ExperimentEntry, end: LoadEnd) -> None:
        code = end.code
        entry.state = (
            "complete" if code == ExitCode.OK else "interrupted" if code == ExitCode.INTERRUPTED else "failed"
        )
        spent = self.guard.reason()
        if spent:
            entry.error = f"stopped: {spent}"
        elif code != ExitCode.OK:
            entry.error = end.message
        if entry.error:
            say(f"{entry.name}: {entry.error} (log: {self.folder / LOCUST_LOG})")
        self.code = self.code or code
        if code == ExitCode.FAILED:
            self._no_more = entry.error
        if spent or code in (ExitCode.INTERRUPTED, ExitCode.FAILED):
            raise UserError(entry.error or "the load was stopped")

    def _close(self, state: RunState, error: str | None = None) -> None:
        for entry in self.manifest.experiments:
            if entry.state == "running":  # the end came before its load, or without any word of it
                entry.state = "interrupted" if state == "interrupted" else "failed"
                entry.error = entry.error or error
        self.manifest.ended_at = time.time()
        self.manifest.state = state
        self.manifest.error = error
        self._save()

    def _save(self) -> None:
        """Write the manifest. A full disk starts nothing more, and stops no deletion."""
        try:
            with writing(self.folder / MANIFEST):
                self.manifest.save(self.folder)
        except UserError as error:
            self.code = self.code or ExitCode.FAILED
            if self._no_more is None:
                say(f"error: {error}")
            self._no_more = str(error)

    def _report_so_far(self) -> None:
        """Write the report while AWS deletes: whoever gives up waiting for that has it."""
        from analysis import make_report  # noqa: PLC0415 - a mistake is told before pandas is imported

        try:
            self._save()
            make_report(self.folder)
        except Exception as error:  # noqa: BLE001 - no report may stop a deletion; the last one raises
            say(f"no report yet ({error}); it is made again after the deletion")
        else:
            say(f"report so far: {self.folder / 'report.html'} (made again after the deletion)")

    def _report(self) -> None:
        from analysis import make_report  # noqa: PLC0415 - a mistake is told before pandas is imported

        try:
            report = make_report(self.folder)
        except BaseException as error:
            kept = f"what was measured is kept: `make report RUN={self.folder}` makes the report from it"
            if isinstance(error, UserError):
                raise StartedError(f"{error}; {kept}") from None
            say(kept)
            raise
        experiments = report.summary["experiments"]
        for experiment in experiments:
            answers.print("", summary_table(experiment), sep="\n")
        answers.print(f"\n{printable(report.answer)}\n\nreport: {self.folder / 'report.html'}", markup=False)
        steps = [step for experiment in experiments for step in experiment["steps"]]
        if self.code == ExitCode.OK and all(step["trust"]["level"] == "void" for step in steps):
            say("error: no step has figures to rely on; the report says why")
            self.code = ExitCode.ALL_VOID
