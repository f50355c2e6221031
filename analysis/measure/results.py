"""What the analysis knows about a run: plain data between metrics and pages. None is "not measured"."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from analysis.measure.answers import AnswerFacts
from analysis.measure.conversation_parts import ConversationFacts
from analysis.measure.distribution import Distribution
from analysis.measure.locust_run import LocustRun, Reconciled
from analysis.measure.mix_parts import PartFacts
from analysis.measure.step_parts import (
    Counts,
    Errors,
    Goodput,
    Health,
    InFlight,
    Provenance,
    StepCost,
    Streaming,
    Throughput,
    TokensPerRequest,
)
from analysis.measure.workers import WorkerFacts
from analysis.metrics.cost import RunCost
from analysis.metrics.definitions import Window
from analysis.metrics.time_blocks import BlockSums, ObjectiveSums
from configs.slo import DEFAULT_ERROR_RATE_LIMIT, Objective
from runfolder.manifest import MadePrompts, Notice, PriceQuote, Rival

Level = Literal["pass", "warn", "void"]
LEVELS: tuple[Level, ...] = ("pass", "warn", "void")
LATENCIES = ("ttft", "ttfo", "tpot", "e2e", "schedule_delay", "ttft_sent", "e2e_sent")
"""The last three only in open loop: how late a request was sent, and latencies that count from its start."""


_TITLES = {
    "client_cpu": "a busy load generator",
    "client_lag": "event-loop lag of the load generator",
    "cloudwatch_count_differs": "CloudWatch's count differs",
    "impossible_fmbench_figure": "an impossible figure of FMBench's",
    "master_cpu": "a busy master",
    "locust_count_differs": "Locust's count differs",
    "locust_csv_differs": "Locust's CSV differs",
    "locust_figures_only": "Locust's figures only",
}


@dataclass(frozen=True)
class Reason:
    """Why a step is not trusted without reserve. ``code`` is stable and for programs; ``text`` may change."""

    code: str
    """In snake_case. Programs decide by it; no code reads ``text``."""
    text: str
    """One sentence without its full stop."""
    level: Level = "warn"
    values: dict[str, Any] = field(default_factory=dict)
    """The figures in ``text``: durations in the unit of their key's suffix, shares from 0 to 1."""

    @property
    def title(self) -> str:
        """A few words for a list of reasons: ``failed requests``."""
        return _TITLES.get(self.code, self.code.replace("_", " "))


@dataclass
class Trust:
    """Whether a step can be trusted, and why not. A void step cannot enter a recommendation."""

    level: Level = "pass"
    reasons: list[Reason] = field(default_factory=list)

    def add(self, level: Level, code: str, text: str, **values: Any) -> None:
        """Add a reason. The level only ever gets worse."""
        self.add_reason(Reason(code, text, level, values))

    def add_reason(self, reason: Reason) -> None:
        """Add a reason of another step."""
        self.reasons.append(reason)
        if LEVELS.index(reason.level) > LEVELS.index(self.level):
            self.level = reason.level

    @property
    def codes(self) -> list[str]:
        """The codes of all reasons."""
        return [reason.code for reason in self.reasons]

    @property
    def texts(self) -> list[str]:
        """The sentences of all reasons, those of the worst level first."""
        worst_first = sorted(self.reasons, key=lambda reason: -LEVELS.index(reason.level))
        return [reason.text for reason in worst_first]


@dataclass(frozen=True)
class StepResult:
    """One step, measured. Everything but ``trust`` is set once, by the code that measures the step."""

    id: str
    experiment: str
    ordinal: int
    concurrency: int | None
    """Users, in closed loop."""
    state: str
    repetition: int = 1
    """Counts the steps of the experiment at this level, from 1."""
    rate: float | None = None
    """Arrivals per second, in open loop; of a trace, their mean. The concurrency is None then."""
    speed: float | None = None
    """How fast a trace was replayed; None without a trace."""
    piece: int | None = None
    """Number of the piece of a shape, from 1; its level is not a steady one that could be recommended."""
    ramp: tuple[float, float] | None = None
    """The rates or users at the start and at the end of a piece; ``rate`` or ``concurrency`` is the mean."""
    purpose: str | None = None
    """What a search played it for (`runfolder.records.StepPurpose`); None where the plan names the step."""
    warm_up_s: float | None = None
    """From when all users were there, or the first arrival, to the start of the window."""
    spent_s: float | None = None
    """Load time from its announcement to its end."""
    cut_short_s: float = 0.0
    """Seconds by which the window of a saturated step ended before its plan."""
    reasons: str | None = None
    reason_codes: tuple[str, ...] = ()
    """What happened to the step, as the load generator recorded it (`runfolder.records.ReasonCode`)."""
    reported_counts: dict[str, float] = field(default_factory=dict)
    """What steps.csv says: started, ok, failed, censored, locust_requests, locust_failures."""
    window: Window | None = None
    """None also for pooled repetitions, which share no window."""
    seconds: float | None = None
    """Measured time: the length of the window, or of all windows together where repetitions are pooled."""
    window_counts: Counts = field(default_factory=Counts)
    """Requests that started in the measure window."""
    step_counts: Counts = field(default_factory=Counts)
    """All requests of the step, warm-up included."""
    latency: dict[str, Distribution] = field(default_factory=dict)
    """By metric, one of `LATENCIES`, in milliseconds."""
    tokens: dict[str, Distribution] = field(default_factory=dict)
    """``prompt_tokens`` and ``completion_tokens`` of an answered request."""
    tokens_per_request: TokensPerRequest = field(default_factory=TokensPerRequest)
    streaming: Streaming = field(default_factory=Streaming)
    throughput: Throughput = field(default_factory=Throughput)
    goodput: Goodput = field(default_factory=Goodput)
    errors: Errors = field(default_factory=Errors)
    in_flight: InFlight = field(default_factory=InFlight)
    provenance: Provenance = field(default_factory=Provenance)
    answers: AnswerFacts = field(default_factory=AnswerFacts)
    conversations: ConversationFacts | None = None
    """None where all requests are single ones."""
    parts: tuple[PartFacts, ...] = ()
    """Of a mix."""
    outside: int = 0
    """Requests of the step that began outside of its time, so that a clock must be wrong."""
    workers: tuple[WorkerFacts, ...] = ()
    """Of each worker, where there were several."""
    cost: StepCost = field(default_factory=StepCost)
    health: Health = field(default_factory=Health)
    blocks: BlockSums | None = None
    tpot_blocks: ObjectiveSums | None = None
    """Per block, the answers with a TPOT and the sum of it in ms; None where no answer has one."""
    trust: Trust = field(default_factory=Trust)
    """The only part that grows: checks add their reasons to it. Copies by `dataclasses.replace` share it."""

    @property
    def ramps(self) -> bool:
        """Whether its load changes within the window."""
        return self.ramp is not None and self.ramp[0] != self.ramp[1]

    @property
    def level(self) -> float | None:
        """What the step asked for: users of a closed loop, or arrivals per second of an open loop."""
        return self.concurrency if self.rate is None else self.rate

    @property
    def arrivals_noun(self) -> str:
        """What arrives in an open loop: ``requests`` or ``conversations``. A trace has requests."""
        return "requests" if self.conversations is None or self.speed is not None else "conversations"

    @property
    def usable(self) -> bool:
        """Whether the step may enter a recommendation on grounds of trust."""
        return self.trust.level != "void"

    def latency_of(self, objective: Objective) -> Distribution | None:
        """The latency that an objective judges: of all requests, or of a part of a mix."""
        if objective.part is None:
            return self.latency.get(objective.metric)
        own = (part.latency for part in self.parts if part.part == objective.part)
        return next((latency.get(objective.metric) for latency in own), None)

    def shown(self, metric: str, percentile: int | None) -> float | None:
        """A percentile of a latency, or its mean for None, in ms; None where it cannot be shown."""
        described = self.latency.get(metric)
        return None if described is None else described.shown(percentile)


@dataclass
class ExperimentResult:
    """One instance type × payload with its steps, in the order in which they ran."""

    name: str
    model: str
    instance_type: str
    instance: str
    """What to call one instance on a page; `deployed` says how many there were."""
    instance_count: int
    payload: str
    payload_file: str
    price: PriceQuote
    steps: list[StepResult]
    cost: RunCost
    state: str
    error: str | None = None
    endpoint: dict[str, Any] = field(default_factory=dict)
    locust_prefix: str = "locust"
    endpoint_name: str | None = None
    component: str | None = None
    """The inference component that the load went to."""
    made_prompts: MadePrompts | None = None
    """How the prompts were made for the run; None if they are those of a file."""
    session_probes: int = 0
    """Requests before the load that checked whether the container opens sessions."""
    rival: Rival | None = None
    """The price that its search had to beat."""

    @property
    def usd_per_hour(self) -> float | None:
        """Dollars per hour of one instance."""
        return self.price.usd_per_hour

    @property
    def usd_per_endpoint_hour(self) -> float | None:
        """Dollars per hour of all its instances: what the measured rate cost."""
        return None if self.usd_per_hour is None else self.usd_per_hour * self.instance_count

    @property
    def deployed(self) -> str:
        """What the load went to: ``ml.g5.xlarge``, ``2 × ml.g5.xlarge``."""
        return self.instance if self.instance_count == 1 else f"{self.instance_count} × {self.instance}"


@dataclass
class RunResult:
    """The whole run: what the pages show. ``rows`` and the other frames are for the plots."""

    run_id: str
    plan: dict[str, Any]
    notices: list[Notice]
    rehearsal: bool
    state: str
    started_at: float | None
    ended_at: float | None
    experiments: list[ExperimentResult]
    problems: list[str]
    objectives: tuple[Objective, ...]
    error_rate_slo: float | None
    """The plan's limit; None where it names none."""
    rows: pd.DataFrame
    workers: pd.DataFrame
    cloudwatch: pd.DataFrame
    plan_file: str | None = None
    error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] | None = None
    seed: int | None = None
    source: Literal["records", "locust", "fmbench"] = "records"
    fmbench: dict[str, Any] = field(default_factory=dict)
    locust: LocustRun | None = None
    """Tables by method and name, where the run was read from Locust's CSV files."""
    reconciled: tuple[Reconciled, ...] = ()
    """Rows beside Locust's own statistics, per step that Locust's CSV has."""

    @property
    def objectives_of_all(self) -> tuple[Objective, ...]:
        """The objectives that judge all requests, without those of the parts of a mix."""
        return tuple(objective for objective in self.objectives if objective.part is None)

    @property
    def open_loop(self) -> bool:
        """Whether requests arrived at a rate in any step, instead of following each other."""
        return any(step.rate is not None for step in self.steps)

    @property
    def shaped(self) -> bool:
        """Whether the load was a shape: its pieces are judged, and no level is recommended."""
        return any(step.piece is not None for step in self.steps)

    @property
    def closed_loop(self) -> bool:
        """Whether requests followed each other in any step."""
        return any(step.rate is None for step in self.steps)

    @property
    def steps(self) -> list[StepResult]:
        """All steps of all experiments."""
        return [step for experiment in self.experiments for step in experiment.steps]

    @property
    def error_rate_limit(self) -> float:
        """The share of errors above which a step is not recommended."""
        return DEFAULT_ERROR_RATE_LIMIT if self.error_rate_slo is None else self.error_rate_slo

    @property
    def assumed_price(self) -> bool:
        """Whether any price is an assumption."""
        return any(e.price.assumption and e.usd_per_hour is not None for e in self.experiments)
