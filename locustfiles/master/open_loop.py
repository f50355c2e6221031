"""The load of an open loop: hands out arrivals, keeps account of each, and sees when requests pile up."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import accumulate, groupby, repeat
from random import Random

from configs.arrivals import ArrivalProcess, arrival_process
from configs.experiment import Experiment, Step
from configs.payload import read_payload
from configs.scripts import ScriptOrder, scripts_of
from locustfiles.master.arrival_schedule import (
    ArrivalSchedule,
    process_arrivals,
    shape_arrivals,
    trace_arrivals,
)
from locustfiles.master.clock import Clock
from locustfiles.master.report_collector import ReportCollector
from locustfiles.master.saturation import SaturationCheck
from locustfiles.master.worker_group import StepReason, WorkerGroup
from locustfiles.messages import Arrival
from runfolder.records import Request, StepRow
from runfolder.replayed_trace import read_bodies, read_trace_rows

_HAND_OUT_S = 0.1


class OpenLoop:
    """Gives the workers the arrivals of the current step, two seconds ahead, until it is told to stop."""

    def __init__(
        self, experiment: Experiment, group: WorkerGroup, collector: ReportCollector, clock: Clock
    ) -> None:
        self._load = experiment.load
        self._bodies = experiment.trace_bodies
        self._steps = experiment.steps
        self._unique_prefix = experiment.unique_prefix
        self._blocks = 0
        """Names of the trace's shared blocks that earlier steps have used."""
        self._trace = read_trace_rows(experiment.run_folder) if experiment.load.trace else []
        seed = f"{experiment.run_id}/{experiment.name}/{experiment.load.seed}/arrivals"
        self._random = Random(seed)  # noqa: S311 - reproducible, not secret
        self._group = group
        self._collector = collector
        self._clock = clock
        self._scripts = self._script_order(experiment)
        self._schedule = ArrivalSchedule(None if self._scripts is None else self._turns_of)
        self._step: Step | None = None
        self._pieces: list[tuple[float, Step]] = []
        """In a shape, its steps, and when each of them ends."""
        self._handed_at = 0.0
        self._unreported: dict[int | tuple[int, int], tuple[str, Arrival]] = {}
        """Arrivals that were handed out and have no row yet, by number, and by turn in a conversation."""
        self._due: Counter[str] = Counter()
        """Arrivals of each step that have a row."""
        self._check = SaturationCheck(self._load.measure_s, 1.0)
        self._opened: float | None = None
        """When the window of the current step opened, if its requests are looked at."""
        self._saturated: dict[str, str] = {}
        """Step id → why the endpoint did not keep up with its arrivals."""
        self._too_high: float | None = None
        """The lowest rate or speed with which the endpoint did not keep up."""
        collector.on_row = self._close

    def _script_order(self, experiment: Experiment) -> ScriptOrder | None:
        """Which conversation each arrival begins; None if the payload holds single requests."""
        if experiment.load.trace is not None:
            return None
        scripts = scripts_of(
            read_payload(experiment.payload, whole=experiment.conversation is not None),
            experiment.conversation,
        )
        return ScriptOrder(scripts, experiment.order_seed) if scripts else None

    @property
    def turns_per_arrival(self) -> float | None:
        """Turns of a conversation, on average; None where each arrival is a single request."""
        return None if self._scripts is None else self._scripts.mean_turns

    def _turns_of(self, number: int) -> int:
        return 1 if self._scripts is None else len(self._scripts.script(number).turns)

    def begin(self, step: Step) -> float:
        """Begin a step, after the arrivals that were already handed out.

        Returns:
            When it begins, epoch seconds.
        """
        self._step, self._handed_at, self._opened = step, 0.0, None
        requests = self.turns_per_arrival or 1.0
        shortest_s = self.measure_s(step) if self._load.measure_until is None else self._load.least_measure_s
        self._check = SaturationCheck(shortest_s, requests * (self.rate(step) or 1.0))
        if step.piece is not None:
            return self._begin_shape(arrival_process(self._load.arrivals))
        if step.speed is not None:
            captured = repeat(None) if self._bodies is None else read_bodies(self._bodies)
            arrivals = trace_arrivals(self._trace, step.speed, captured, first_block=self._blocks)
            if self._unique_prefix:  # what one step has sent must not be in a cache for the next
                self._blocks += max((block for row in self._trace for block in row.blocks), default=0)
        else:
            process = arrival_process(self._load.arrivals)
            arrivals = process_arrivals(process, step.rate or 1.0, self._random)
        return self._schedule.begin(arrivals, self._clock.time())

    def _begin_shape(self, process: ArrivalProcess) -> float:
        """Begin all steps of a shape; its first piece follows the warm-up."""
        steps = [(step, step.piece) for step in self._steps if step.piece is not None]
        lead_s = self._load.warm_up_s
        arrivals = shape_arrivals(process, [piece for _, piece in steps], self._random, lead_s)
        begins = self._schedule.begin(arrivals, self._clock.time())
        ends = accumulate((piece.seconds for _, piece in steps), initial=begins + lead_s)
        self._pieces = list(zip(list(ends)[1:], (step for step, _ in steps), strict=True))
        return begins

    def continue_with(self, step: Step) -> None:
        """Go on with the next piece of a shape."""
        self._step = step

    def planned_end(self, step: Step, opened: float) -> float:
        """When the window of a step ends, epoch seconds: in a shape with the last arrival of the piece.

        Args:
            step: the step.
            opened: when its window opened.
        """
        ends = (ends for ends, piece_step in self._pieces if piece_step == step)
        return next(ends, opened + self.measure_s(step))

    def measure_s(self, step: Step) -> float:
        """The planned length of a step's window: the plan's, or what the warm-up leaves of the trace."""
        if step.piece is not None:
            return step.piece.seconds
        if step.speed is None:
            return self._load.measure_s
        return max(1.0, self._trace_s / step.speed - self._load.warm_up_s)

    def rate(self, step: Step) -> float | None:
        """Arrivals per second of a step; of a trace, their mean."""
        if step.speed is None or not self._trace_s:
            return step.rate
        return step.speed * (len(self._trace) - 1) / self._trace_s

    @property
    def _trace_s(self) -> float:
        return self._trace[-1].at_s if self._trace else 0.0

    def stop(self) -> float:
        """Hand out nothing more.

        Returns:
            The time up to which arrivals were handed out.
        """
        self._step = None
        return self._schedule.drawn_until

    def hand_out(self, workers: Mapping[str, str]) -> None:
        """Hand out the arrivals of the next two seconds; called again and again.

        Args:
            workers: client id → name of the workers that make the load.
        """
        step, now = self._step, self._clock.time()
        if step is None or now - self._handed_at < _HAND_OUT_S:
            return
        self._handed_at = now
        limit = max(1, self._load.max_in_flight // max(1, len(workers)))
        for client, arrivals in self._schedule.take(now, workers).items():
            for of_step, own in groupby(arrivals, partial(self._step_of, step)):
                self._send(client, of_step, list(own), limit, reachable=client in workers)

    def _step_of(self, step: Step, arrival: Arrival) -> Step:
        """The step in which an arrival comes: the current one, or in a shape the one of its time."""
        if step.piece is None:
            return step
        return next((later for ends, later in self._pieces if arrival.at < ends), step)

    def _send(self, client: str, step: Step, arrivals: list[Arrival], limit: int, *, reachable: bool) -> None:
        for arrival in arrivals:
            self._expect(step.id, arrival)
        if reachable:
            self._group.send_arrivals(client, step, arrivals, limit)

    def _expect(self, step: str, arrival: Arrival) -> None:
        """Expect a row of an arrival; where it begins a conversation, one of each turn."""
        if arrival.turn is None:
            self._unreported[arrival.number] = step, arrival
            return
        turns = [arrival.turn] if self._scripts is None else range(1, (arrival.turns or 1) + 1)
        for turn in turns:
            self._unreported[arrival.number, turn] = step, arrival._replace(turn=turn)

    def is_saturated(self, window_start: float) -> bool:
        """Whether requests pile up in the current step; then nothing more is handed out.

        Args:
            window_start: when its window opened, epoch seconds.
        """
        step = self._step
        if step is None or step.piece is not None:  # a shape goes on, to see how the endpoint recovers
            return False
        elapsed_s = self._clock.time() - window_start
        tally = self._collector.steps[step.id]
        # A trace has busy hours of its own: that more is in flight in them is no sign of saturation.
        steady = step.speed is None
        self._opened = window_start if steady else None
        in_flight = self._collector.in_flight if steady else 0
        reason = self._check.check(elapsed_s, in_flight, tally.withheld)
        if reason is None:
            return False
        self._saturated[step.id] = reason
        level = step.rate or step.speed or 0.0
        self._too_high = min(level, self._too_high or level)
        self.stop()
        return True

    def reason_to_skip(self, step: Step) -> str | None:
        """Why a step need not be played: the endpoint did not keep up with fewer arrivals."""
        if self._load.search is not None:  # it knows what to play
            return None
        if self._too_high is None or (step.rate or step.speed or 0.0) < self._too_high:
            return None
        noun = "requests" if self._scripts is None else "conversations"
        at = f"{self._too_high:g} {noun}/s" if step.speed is None else f"speed {self._too_high:g}"
        return f"the endpoint was saturated at {at}"

    def _close(self, row: Request) -> None:
        if row.arrival is not None:
            self._unreported.pop(row.arrival if row.turn is None else (row.arrival, row.turn), None)
            self._due[row.step] += 1
        if row.ttft_ms is not None and self._opened is not None and row.arrived_at >= self._opened:
            self._check.add_ttft(row.ttft_ms + (row.schedule_delay_ms or 0.0))

    def findings(self, step: Step) -> list[StepReason]:
        """That the endpoint did not keep up, if so."""
        reason = self._saturated.get(step.id)
        return [] if reason is None else [StepReason("saturated", reason)]

    def close(self, rows: Iterable[StepRow], until: float) -> None:
        """Account for every arrival that came due: record those whose worker was lost, and count all.

        Args:
            rows: the steps, which get their number of arrivals.
            until: when the workers were told to stop, epoch seconds.
        """
        unreported = [entry for entry in self._unreported.values() if entry[1].at <= until]
        lost = [
            Request(
                request_id=f"lost-{arrival.number}" + (f"-{arrival.turn}" if arrival.turn else ""),
                step=step,
                worker="",
                payload_id="",
                started_at=arrival.at,
                schedule_delay_ms=0.0,
                arrival=arrival.number,
                session=arrival.session,
                turn=arrival.turn,
                outcome="censored",
                error_detail="its worker was lost",
            )
            for step, arrival in unreported
        ]
        self._collector.add_rows(lost, until)
        for row in rows:
            row.arrivals = self._due[row.step]
