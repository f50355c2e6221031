"""Play a plan from deploy to report. What was created is deleted and what was measured is kept, always."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.backend import backend_for
from bench.checks import check_file_limit, check_plan, check_results
from bench.cloudwatch import collect_cloudwatch
from bench.display.run_display import RunDisplay
from bench.display.screen import say_in_signal
from bench.distributed.run_announcer import RunAnnouncer
from bench.experiment_file import made_payload, write_experiment
from bench.json_lines import add_error, emit
from bench.live_load import watch_load
from bench.live_page.run_view import RunView
from bench.locust_process import LoadEnd, play_load
from bench.prepare import PreparedRun, RunOptions, prepare
from bench.quick import quick_report
from bench.run_report import final_report, report_so_far
from bench.terminal import print_status
from bench.traces import bodies_file
from common.errors import UserError, writing
from common.exit_codes import ExitCode
from common.formatting import plural
from configs.plan import Plan
from deploy.lifecycle.endpoint import Deployment, deployed
from deploy.lifecycle.removal import LeftBehindError
from deploy.lifecycle.signals import Interrupted, orderly_exit
from deploy.lifecycle.spend_guard import SpendGuard
from deploy.spec.endpoint_spec import EndpointSpec
from runfolder.layout import CLOUDWATCH, LOCUST_LOG, MANIFEST
from runfolder.manifest import ExperimentEntry, RunState

if TYPE_CHECKING:
    from bench.searches import Searches

_STATES: dict[int, RunState] = {ExitCode.OK: "complete", ExitCode.INTERRUPTED: "interrupted"}


def run_plan(plan: Plan, options: RunOptions) -> int:
    """Check, prepare and play ``plan``: mistakes are found before anything starts.

    Returns:
        The exit code of `play`, or 128 + signal when the run was interrupted.

    Raises:
        UserError: a mistake in the plan, the account or on this machine; nothing was started.
    """
    payloads = check_plan(plan)
    check_results(options.results)
    check_file_limit(plan.load.most_in_flight)
    options.load.check()
    prepared: PreparedRun | None = None
    try:
        shorten = {"rehearse": options.rehearse, "full_windows": options.full_windows}
        with orderly_exit(say_in_signal), backend_for(plan, **shorten) as backend:
            prepared = prepare(backend, options, payloads)
            return play(prepared)
    except Interrupted as stop:
        moment = "before anything was created"
        if prepared is not None and prepared.folder.exists():
            moment = f"while writing the report; `make report RUN={prepared.folder}` writes it"
        print_status(f"interrupted by {stop} {moment}")
        return stop.exit_code


def play(prepared: PreparedRun) -> int:
    """Play a prepared run: deploy, load, delete and report. Every end leaves a report.

    Returns:
        An `ExitCode`: OK when all steps are complete, FAILED when a deployment or a load failed, INCOMPLETE,
        REFUSED, ALL_VOID; 128 + signal when the run was interrupted.

    Raises:
        UserError: the workers did not connect, or a run folder of the same second exists.
        LeftBehindError: something could not be deleted.
    """
    load = prepared.options.load
    status = _RunStatus()
    announcer = RunAnnouncer(
        prepared.folder.name,
        load.announcer_address,
        lambda: status.code,
        token=load.token,
        expected_workers=load.workers_elsewhere,
    )
    guard = SpendGuard(prepared.ledger, prepared.run_id, prepared.plan.budget.max_spend_usd)
    prepared.show_in_view(guard.spent_usd)
    display = RunDisplay(prepared.options.view)
    with announcer, bodies_file(prepared.trace.bodies) as bodies, display:
        if load.workers_elsewhere:
            print_status(load.reachability)
        announcer.wait_for_workers(f"{prepared.backend.worker_keys}make worker MASTER=… TOKEN={load.token}")
        _Player(prepared, announcer, guard, status, bodies, _searches(prepared), display).play()
    return status.code


def _searches(prepared: PreparedRun) -> "Searches | None":
    if prepared.plan.load.search is None:
        return None
    from bench.searches import Searches  # noqa: PLC0415 - it imports pandas

    return Searches(prepared.plan, prepared.manifest, prepared.folder)


@dataclass
class _RunStatus:
    """How a run stands."""

    code: int = ExitCode.OK
    """The exit code; the first one that is not 0 stays."""
    stop_reason: str | None = None
    """Why nothing more is started."""

    def record_code(self, code: int) -> None:
        """Set the exit code, unless one is set already."""
        self.code = self.code or code


@dataclass(frozen=True)
class _Player:
    """Plays the endpoints of a prepared run one after the other and keeps its manifest up to date."""

    prepared: PreparedRun
    announcer: RunAnnouncer
    guard: SpendGuard
    status: _RunStatus
    bodies: Path | None
    """A file of the bodies that are replayed."""
    searches: "Searches | None"
    """None where the plan lists steps."""
    display: RunDisplay

    @property
    def view(self) -> RunView:
        """Takes how the run stands, for the live page."""
        return self.prepared.options.view

    def play(self) -> None:
        """Play every endpoint; the manifest says how it ended, the report what was measured."""
        self._start()
        manifest = self.prepared.manifest
        try:
            for spec in self.prepared.preflight.specs:
                if reason := self._stop_reason():
                    self._skip(spec, f"not started: {reason}")
                else:
                    self._play_endpoint(spec)
            if not self.prepared.options.quick:  # it would wait for minutes
                self.view.enter("cloudwatch")
                with writing(self.prepared.folder / CLOUDWATCH):
                    collect_cloudwatch(self.prepared.folder, manifest, self.prepared.clients)
            errors = dict.fromkeys(entry.error for entry in manifest.experiments if entry.error)
            self._close(_STATES.get(self.status.code, "failed"), "; ".join(errors) or None)
        except Interrupted as stop:
            self.status.code, self.view.signaled = stop.exit_code, True
            print_status(f"interrupted by {stop}; everything measured so far is kept")
            self._close("interrupted", f"interrupted by {stop}")
        except LeftBehindError as left:
            self._close_with_leftovers(left)
        except BaseException as error:
            self._close("failed", f"{type(error).__name__}: {error}")
            raise
        finally:
            self._report()

    def _start(self) -> None:
        folder = self.prepared.folder
        self.prepared.create_folder()
        self._save()
        experiments = self.prepared.manifest.experiments
        steps = sum(len(entry.steps) for entry in experiments)
        shape = plural(steps, "step") if self.prepared.plan.load.search is None else "a search"
        print_status(f"run {folder.name}: {plural(len(experiments), 'experiment')}, {shape}")
        emit("run_started", **self.prepared.facts)

    def _stop_reason(self) -> str | None:
        return self.guard.reason() or self.status.stop_reason or self.announcer.shortage()

    def _entries(self, spec: EndpointSpec) -> list[ExperimentEntry]:
        entries = self.prepared.manifest.experiments
        return [entry for entry in entries if entry.instance_type == spec.instance_type]

    def _skip(self, spec: EndpointSpec, reason: str) -> None:
        print_status(f"{spec.instance_type}: {reason}")
        self.view.problems.append(f"{spec.instance_type}: {reason}")
        for entry in self._entries(spec):
            entry.error, entry.state = reason, "failed"
        self.status.record_code(ExitCode.FAILED)

    def _play_endpoint(self, spec: EndpointSpec) -> None:
        """Deploy one instance type and load it with every payload. Its failure does not cost the others."""
        entries = self._entries(spec)
        try:
            with deployed(
                spec,
                self.prepared.clients,
                self.prepared.ledger,
                self.view.deploying(spec.instance_type, self.display.deployment(spec.name)),
                quote=entries[0].price,
                stop=self.guard.reason,
                meanwhile=self._report_so_far,
            ) as deployment:
                for entry in entries:
                    try:
                        self._play_experiment(entry, spec, deployment)
                    finally:
                        made_payload(self.prepared.folder, entry).unlink(missing_ok=True)
        except UserError as error:
            print_status(f"error: {error}")
            self.view.problems.append(str(error))
            self.status.record_code(ExitCode.FAILED)
            for entry in entries:
                entry.error = entry.error or str(error)
                entry.state = "failed" if entry.state == "running" else entry.state
            if isinstance(error, LeftBehindError) and error.ends_the_run:
                raise
        finally:
            self._record_billing(spec, entries)
            self._save()

    def _record_billing(self, spec: EndpointSpec, entries: list[ExperimentEntry]) -> None:
        """When billing began and ended, by the ledger: an endpoint that never came into service costs too."""
        for item in self.prepared.ledger.items(self.prepared.run_id):
            if item.kind == "endpoint" and item.name == spec.name and item.state != "refused":
                for entry in entries:
                    entry.create_started_at, entry.deleted_at = item.created_at, item.closed_at

    def _play_experiment(self, entry: ExperimentEntry, spec: EndpointSpec, deployment: Deployment) -> None:
        entry.endpoint_name, entry.component = deployment.endpoint_name, deployment.component
        entry.endpoint = deployment.description
        entry.in_service_at = deployment.in_service_at
        self._record_billing(spec, [entry])
        entry.load_started_at = time.time()
        self._save()
        file = write_experiment(
            self.prepared,
            entry,
            spec,
            deployment,
            bodies=self.bodies,
            spent_usd=self.guard.spent_usd(time.time()),
        )
        watch = watch_load(
            self.prepared.plan, self.prepared.manifest, entry, self.prepared.folder, self.searches
        )
        self._save()
        self.view.enter("load")
        emit("load_started", experiment=entry.name, endpoint=entry.endpoint_name, region=spec.region)
        try:
            with self.announcer.announce_load():
                end = play_load(
                    file,
                    self.prepared.folder / entry.locust_prefix,
                    self.prepared.options.load,
                    over_budget=self.guard.exceeded,
                    meanwhile=watch,
                    show=self.display.update,
                    feed=self.view.feed if self.view.address else None,
                )
        except BaseException:
            entry.state = "interrupted"
            raise
        finally:
            entry.load_ended_at = time.time()
        self._record_end(entry, end)

    def _record_end(self, entry: ExperimentEntry, end: LoadEnd) -> None:
        """Write down how a load ended.

        Raises:
            UserError: it was ended early, or its generator failed: its endpoint gets no further load.
        """
        entry.state = _STATES.get(end.code, "failed")
        emit("load_ended", experiment=entry.name, exit_code=end.code, message=end.message or None)
        spent = self.guard.reason()
        if spent:
            entry.error = f"stopped: {spent}"
        elif end.code != ExitCode.OK:
            entry.error = end.message
        if entry.error:
            print_status(f"{entry.name}: {entry.error} (log: {self.prepared.folder / LOCUST_LOG})")
        self.status.record_code(end.code)
        if end.code == ExitCode.FAILED:
            self.status.stop_reason = entry.error
        if spent or end.code in (ExitCode.INTERRUPTED, ExitCode.FAILED):
            raise UserError(entry.error or "the load was stopped")

    def _close_with_leftovers(self, left: LeftBehindError) -> None:
        """Close the manifest of a run that could not delete everything.

        Raises:
            LeftBehindError: an error of this program came before it, which is not hidden.
        """
        stopped = left.after if isinstance(left.after, Interrupted) else None
        if stopped:
            self.status.code, self.view.signaled = stopped.exit_code, True
        self.status.record_code(ExitCode.FAILED)
        self._close("interrupted" if stopped else "failed", str(left))
        if not isinstance(left.after, UserError | Interrupted | None):
            raise left

    def _close(self, state: RunState, error: str | None = None) -> None:
        manifest = self.prepared.manifest
        for entry in manifest.experiments:
            if entry.state == "running":  # the end came before its load, or before its end was known
                entry.state = "interrupted" if state == "interrupted" else "failed"
                entry.error = entry.error or error
        manifest.ended_at = time.time()
        manifest.state = state
        manifest.error = error
        add_error(error)
        self._save()

    def _save(self) -> None:
        """Write the manifest. A full disk starts nothing more, and stops no deletion."""
        try:
            with writing(self.prepared.folder / MANIFEST):
                self.prepared.manifest.save(self.prepared.folder)
        except UserError as error:
            self.status.record_code(ExitCode.FAILED)
            if self.status.stop_reason is None:
                print_status(f"error: {error}")
            self.status.stop_reason = str(error)

    def _report_so_far(self) -> None:
        self._save()
        if not self.prepared.options.quick:
            report_so_far(self.prepared.folder)
            self.view.take_report()

    def _report(self) -> None:
        self.view.enter("report")
        self.display.close()
        if self.prepared.options.quick:
            if not quick_report(self.prepared.folder):
                self.status.record_code(ExitCode.ALL_VOID)
        else:
            print_status("writing the report")
            if not final_report(self.prepared.folder) and self.status.code == ExitCode.OK:
                print_status("error: no step has figures to rely on; the report says why")
                self.status.code = ExitCode.ALL_VOID
        self.view.take_report()
