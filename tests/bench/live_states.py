"""States of runs as the displays get them: made by the master's own code from rows, without a load."""

import json
from pathlib import Path
from typing import Any

from configs.experiment import Experiment, load_steps
from configs.live_facts import LiveFacts
from configs.load import Load
from configs.slo import Slo
from locustfiles.master.clock import SystemClock
from locustfiles.master.live_page import LiveState
from locustfiles.master.live_series import LiveSeries
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.status import StatusBoard
from locustfiles.master.step_table import StepTable
from runfolder.records import Request, WorkerReport

START = 1_700_000_000.0
_STEP_S = 50.0
_ANSWERS = 130
NAME = "ml.g5.48xlarge/a-rather-long-label-of-a-payload_3000-4000"


class _Clock(SystemClock):
    """A clock that stands."""

    now = START

    def time(self) -> float:
        return self.now


class _Group:
    """Enough of a `WorkerGroup` for the status board."""

    user_count = 3


def load_state(
    folder: Path,
    *,
    played: int,
    load: dict[str, Any] | None = None,
    workers: int = 1,
    failing: bool = True,
    turns: float | None = None,
) -> dict[str, Any]:
    """A load of 26 steps whose step number ``played`` is being measured.

    TTFT is 100 ms and 10 ms more in each step, and the SLO is missed from step 13 on.
    """
    chosen = Load.model_validate(load or {"concurrency": list(range(1, 27)), "warm_up": 5, "measure": 40})
    facts = LiveFacts(
        plan="a plan",
        slo=Slo.model_validate({"ttft_p95": "230ms", "e2e_p95": "3s"}),
        usd_per_hour=20.0,
        spent_usd=1.0,
        spent_at=START,
        expected_usd=12.5,
        max_spend_usd=40.0,
    )
    experiment = Experiment(
        name=NAME,
        run_id="run",
        run_folder=folder,
        endpoint_name="bench-a-plan-20261129T0304Z-ab12",
        region="us-east-1",
        payload=folder / "p.jsonl",
        stream=True,
        request_schema="tgi",
        route="invocations",
        parameters={},
        unique_prefix=True,
        samples=False,
        steps=load_steps(chosen, NAME),
        load=chosen,
        live=facts,
    )
    clock = _Clock()
    collector = ReportCollector(folder, frozenset(step.id for step in experiment.steps), clock, LiveSeries())
    table = StepTable(experiment, collector)
    board = StatusBoard(experiment, _Group(), collector, table.rows, clock)  # type: ignore[arg-type]
    board.status.turns_per_arrival = turns
    board.live = LiveState(experiment, board, collector, clock).state
    for row in table.rows[:played]:
        status = board.status
        status.step, status.ordinal, status.target, status.rate = (
            row.step,
            row.ordinal,
            row.concurrency,
            row.rate,
        )
        row.announced_at, row.measure_started_at, row.state = clock.now, clock.now + 5, "running"
        collector.open_window(row.step, clock.now + 5)
        collector.add_rows(_rows(row.step, row.ordinal, clock.now + 6, failing=failing), clock.now + 60)
        clock.now += _STEP_S
        if row.ordinal < played:
            row.state, row.measure_ended_at, row.tail_ended_at = "complete", clock.now - 5, clock.now
            collector.close_window(row.step, clock.now - 5)
    for number in range(workers):
        report = WorkerReport(
            f"w{number}", "host", clock.now, None, 3, 3, 41.0, 100.0, lag_p99_ms=2.5, clock_lag_p99_ms=1.2
        )
        collector.live.workers[report.worker] = report
    board.enter("measure", 40.0)
    content: dict[str, Any] = json.loads(board.live())
    return content | {"phase_elapsed_s": 12.0}


def _rows(step: str, ordinal: int, at: float, *, failing: bool) -> list[Request]:
    rows = []
    for number in range(_ANSWERS):
        row = Request(f"{step}-{number}", step, "w0", "p", at + number * 0.25)
        row.ttft_ms, row.tpot_ms, row.e2e_ms = 100.0 + 10 * ordinal, 31.0, 2100.0 + ordinal
        row.prompt_tokens, row.completion_tokens = 200, 64
        rows.append(row)
    if failing and ordinal % 4 == 0:
        rows[0].outcome, rows[0].error_class = "failed", "throttled"
        rows[0].error_detail = "ThrottlingException: Rate exceeded [/INST]"
    return rows


def run_state(**values: Any) -> dict[str, Any]:
    """The run around it, as `bench.live_page.run_view.RunView.state` says it."""
    return {
        "id": "a-plan-20261129T030405Z",
        "plan": "a plan",
        "rehearsal": False,
        "folder": "results/a-plan-20261129T030405Z",
        "stage": "load",
        "stage_since": START,
        "instance_type": "ml.g5.48xlarge",
        "resources": [],
        "problems": [],
        "stopped": False,
        "cost": {"spent_usd": 1.25, "expected_usd": 12.5, "max_spend_usd": 40.0},
        **values,
    }
