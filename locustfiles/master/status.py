"""``status.json``: what the run is doing right now, for every display."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from common.files import write_atomically
from configs.experiment import Experiment
from configs.load import Load
from locustfiles.master.clock import Clock
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.step_tally import StepTally
from locustfiles.master.worker_group import WorkerGroup
from runfolder.layout import STATUS
from runfolder.load_commands import LoadCommand
from runfolder.records import StepRow

Phase = Literal["start", "ramp", "warm_up", "measure", "tail", "drain", "done"]


@dataclass(slots=True)
class LoadStatus:
    """The state of one experiment's load. None means not known yet."""

    experiment: str
    step: str | None = None
    ordinal: int = 0
    steps_total: int = 0
    phase: Phase = "start"
    users: int = 0
    target: int | None = None
    """Users of a closed loop; None in an open loop."""
    rate: float | None = None
    """Arrivals per second of an open loop."""
    turns_per_arrival: float | None = None
    """Mean turns of the conversations that arrive; None where requests do."""
    in_flight: int = 0
    ok: int = 0
    failed: int = 0
    censored: int = 0
    withheld: int = 0
    settled_until: float | None = None
    """Time before which every request that started has ended and is on record."""
    requests_per_minute: float | None = None
    completion_tokens_per_s: float | None = None
    ttft_p50_ms: float | None = None
    e2e_p50_ms: float | None = None
    reach: float | None = None
    """Half of the interval that the measurement waits for, as a share of its statistic, at the last look."""
    looks_at: float | None = None
    """When the measurement is looked at next, epoch seconds."""
    phase_elapsed_s: float = 0.0
    phase_total_s: float | None = None
    eta_s: float | None = None
    message: str = ""
    exit_code: int | None = None
    """Exit code of the load once it has ended; a web page that stays open does not change it."""

    def show(self, tally: StepTally, announced_at: float, now: float) -> None:
        """Take the figures of the current step.

        Args:
            tally: the step's.
            announced_at: when the step started.
            now: time up to which all workers have reported.
        """
        self.ok, self.failed, self.censored, self.withheld = (
            tally.ok,
            tally.failed,
            tally.censored,
            tally.withheld,
        )
        self.requests_per_minute, self.completion_tokens_per_s = tally.rates(now, announced_at)
        self.ttft_p50_ms = tally.percentile("ttft_ms", 50)
        self.e2e_p50_ms = tally.percentile("e2e_ms", 50)

    def save(self, folder: Path, live: str = "null") -> None:
        """Write the file atomically; on a full disk, overwrite the old file in place, without ``live``.

        Args:
            folder: the run folder.
            live: JSON with everything that the displays show.

        Raises:
            OSError: it cannot be written either way.
        """
        content = json.dumps(asdict(self))
        try:
            write_atomically(folder / STATUS, f'{content[:-1]}, "live": {live}}}\n')
        except OSError:
            if not (folder / STATUS).exists():
                raise
            with (folder / STATUS).open("r+", encoding="utf-8") as file:
                file.write(content)  # not longer than the file, which needs no further blocks then
                file.truncate()


class StatusBoard:
    """Keeps ``status.json`` up to date, and has the rows of the web page.

    Args:
        experiment: what is played.
        group: to Locust.
        collector: has the figures.
        rows: the steps.
        clock: the time.
    """

    def __init__(
        self,
        experiment: Experiment,
        group: WorkerGroup,
        collector: ReportCollector,
        rows: Sequence[StepRow],
        clock: Clock,
    ) -> None:
        self.status = LoadStatus(experiment.name, steps_total=len(rows))
        self._experiment = experiment
        self._group = group
        self._collector = collector
        self.rows = rows
        self._clock = clock
        self._phase_started = clock.monotonic()
        self.windows_s = planned_windows(experiment)
        """Seconds of each step's window, in order."""
        self.live: Callable[[], str] = lambda: "null"
        """JSON with everything that the displays show; set by whoever makes it (`live_page.LiveState`)."""

    def enter(self, phase: Phase, seconds: float | None = None) -> None:
        """Begin a phase, which takes ``seconds`` where that is known."""
        self.status.phase, self.status.phase_total_s = phase, seconds
        self._phase_started = self._clock.monotonic()
        self.refresh()

    def note_reach(self, command: LoadCommand | None) -> None:
        """Take what `bench` says about the measurement; None where it has said nothing."""
        status = self.status
        status.reach, status.looks_at = (None, None) if command is None else (command.reach, command.looks_at)

    def note_master_cpu(self, percent: float) -> None:
        """Keep, for the step that is measured, the highest CPU of this process, in percent of one core."""
        if self.status.phase == "measure":
            row = self.rows[self.status.ordinal - 1]
            row.master_cpu_percent = max(percent, row.master_cpu_percent or 0.0)

    def refresh(self) -> None:
        """Update ``status.json``."""
        status, collector = self.status, self._collector
        status.users = self._group.user_count
        status.in_flight = collector.in_flight
        status.settled_until = collector.settled_until
        status.phase_elapsed_s = self._clock.monotonic() - self._phase_started
        if status.step is not None:
            announced_at = self.rows[status.ordinal - 1].announced_at or 0.0
            status.show(collector.steps[status.step], announced_at, collector.reported_until)
            self._add_points()
        status.eta_s = eta_s(status, self._experiment.load, self.windows_s)
        with collector.writing(STATUS):
            status.save(self._experiment.run_folder, self.live())

    def _add_points(self) -> None:
        status, collector, now = self.status, self._collector, self._clock.time()
        collector.live.close_until(
            now if status.phase == "done" else collector.reported_until,
            now,
            target=status.rate and status.rate * (status.turns_per_arrival or 1.0)
            if status.target is None
            else status.target,
            in_flight=status.in_flight,
        )

    def step_rows(self) -> list[dict[str, Any]]:
        """One row per step that has started, for the web page."""
        collector = self._collector
        return live_step_rows(self.rows, collector.steps, self.status.phase, collector.reported_until)


def planned_windows(experiment: Experiment) -> list[float]:
    """Seconds of each step's window, in order, without those of a trace, which takes its own time."""
    whole = experiment.load.measure_s
    return [whole if step.piece is None else step.piece.seconds for step in experiment.steps]


def eta_s(status: LoadStatus, load: Load, windows: Sequence[float]) -> float | None:
    """Seconds left in the remaining phases, without tails and early ends; None for a search.

    Args:
        status: how the load stands.
        load: of the plan.
        windows: seconds of each step's window, in order.
    """
    if load.search is not None:
        return None
    # The pieces of a shape follow each other; only the first one warms up.
    later_warm_ups_s = 0.0 if load.shape else load.warm_up_s
    left = math.fsum(later_warm_ups_s + window for window in windows[status.ordinal :])
    own = windows[status.ordinal - 1] if status.ordinal else 0.0
    match status.phase:
        case "ramp":
            return left + load.warm_up_s + own
        case "warm_up":
            return left + max(0.0, load.warm_up_s - status.phase_elapsed_s) + own
        case "measure":
            return left + max(0.0, own - status.phase_elapsed_s)
        case "done":
            return 0.0
        case _:
            return left


def live_step_rows(
    rows: Sequence[StepRow], tallies: Mapping[str, StepTally], phase: Phase, now: float
) -> list[dict[str, Any]]:
    """One row per step that has started, for the web page (`webui.COLUMNS`).

    Args:
        rows: the steps.
        tallies: by step id.
        phase: phase of the current step.
        now: time up to which all workers have reported.
    """
    table = []
    for row in rows:
        if row.announced_at is None:
            continue
        tally = tallies[row.step]
        end = row.tail_ended_at or now
        per_minute, tokens_per_s = tally.rates(end, row.announced_at)
        figures = {
            "ttft_p50_ms": tally.percentile("ttft_ms", 50),
            "ttft_p95_ms": tally.percentile("ttft_ms", 95),
            "tpot_p50_ms": tally.percentile("tpot_ms", 50),
            "e2e_p50_ms": tally.percentile("e2e_ms", 50),
            "e2e_p95_ms": tally.percentile("e2e_ms", 95),
            "requests_per_minute": per_minute,
            "completion_tokens_per_s": tokens_per_s,
        }
        table.append(
            {
                "step": row.step,
                "state": phase if row.state == "running" else row.state,
                "ok": tally.ok,
                "failed": tally.failed,
                "censored": tally.censored,
                "withheld": tally.withheld,
                "arrivals_per_s": row.rate,
                **{key: None if value is None else round(value, 1) for key, value in figures.items()},
            }
        )
    return table
