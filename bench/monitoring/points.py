"""Values of metrics, as pure functions of the states of a run and of its loads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from locustfiles.master.row_totals import BOUNDS_S, Latency

Data = Mapping[str, Any]
Labels = Mapping[str, str]

_STAGES = ("check", "workers", "deploy", "prompts", "load", "delete", "cloudwatch", "report", "ended")
_PHASES = ("start", "ramp", "warm_up", "measure", "tail", "drain", "done")
_OUTCOMES = ("ok", "failed", "censored", "withheld")
_HEALTH = ("ok", "busy", "late", "silent")
_SLO = ("met", "missed", "open", "unmeasured")
_LATENCIES = ("ttft", "tpot", "e2e")
_PROVIDER = "aws.sagemaker"
_OPERATIONS = {"openai": "chat", "embeddings": "embeddings"}
"""The conventions' name of what a request asks for, by its schema; else ``text_completion``."""


@dataclass(frozen=True)
class Facts:
    """How a run stands."""

    run: Data
    """`bench.live_page.run_view.RunView.state`."""
    loads: Sequence[Data]
    """The last state of each load (`locustfiles.master.live_state`), in the order in which they began."""


class Buckets(NamedTuple):
    """Values of a histogram."""

    bounds: Sequence[float]
    counts: Sequence[int]
    """Of each bucket; the last one is of what is above all bounds."""
    total: float
    """Sum of the values."""


class Point(NamedTuple):
    """One value of a metric."""

    labels: Labels
    value: float | Buckets


Points = Callable[[Facts], Iterable[Point]]
Value = Callable[[Data], float | None]


def target_requests(open_loop: Data) -> float | None:
    """Requests per second that the arrivals of a load or a step make; None in a closed loop."""
    rate: float | None = open_loop["rate"]
    return None if rate is None else rate * (open_loop["turns_per_arrival"] or 1.0)


def of_run(value: Value) -> Points:
    """One value of the run; none where it is None."""
    return lambda facts: [Point({}, found)] if (found := value(facts.run)) is not None else []


def of_load(value: Value) -> Points:
    """A value of the load that is being played: what holds only now is shown of no other."""
    return lambda facts: [
        Point({"experiment": load["experiment"]}, found)
        for load in _playing(facts)
        if (found := value(load)) is not None
    ]


def of_workers(value: Value) -> Points:
    """A value of each load generator, while a load is played."""
    return lambda facts: [
        Point({"worker": worker["worker"]}, found)
        for load in _playing(facts)
        for worker in load["workers"]
        if (found := value(worker)) is not None
    ]


def of_steps(value: Value) -> Points:
    """A value of each step that has begun, of all loads."""
    return lambda facts: [
        Point(labels, found) for labels, step in _steps(facts) if (found := value(step)) is not None
    ]


def of_measurements(value: Value) -> Points:
    """A value of each step whose measurement has begun, of all loads.

    Before that, the states have figures of the last answers, which are those of the warm-up.
    """
    return lambda facts: [
        Point(labels, found) for labels, step in _measured(facts) if (found := value(step)) is not None
    ]


def _playing(facts: Facts) -> Sequence[Data]:
    return facts.loads[-1:] if facts.run["stage"] == "load" else ()


def _steps(facts: Facts) -> Iterable[tuple[Labels, Data]]:
    """Each step that has begun, after its labels. Its id begins with its experiment, which is left out."""
    for load in facts.loads:
        name = load["experiment"]
        for step in load["steps"]:
            if step["announced_at"] is not None:
                yield {"experiment": name, "step": step["step"].removeprefix(f"{name}/")}, step


def _measured(facts: Facts) -> Iterable[tuple[Labels, Data]]:
    """As `_steps`, without those that are not measured yet."""
    return ((labels, step) for labels, step in _steps(facts) if step["measure_started_at"] is not None)


def _one_hot(label: str, states: Sequence[str], state: str | None, labels: Labels) -> Iterable[Point]:
    """1 for the state that holds, 0 for the others; nothing where none is known."""
    if state is not None:
        for each in states:
            yield Point({**labels, label: each}, int(each == state))


def run_info(facts: Facts) -> Iterable[Point]:
    """1, once there is a run."""
    if facts.run["id"]:
        rehearsal = str(facts.run["rehearsal"]).lower()
        yield Point({"run_id": facts.run["id"], "plan": facts.run["plan"], "rehearsal": rehearsal}, 1)


def stage(facts: Facts) -> Iterable[Point]:
    """Where the run is."""
    return _one_hot("stage", _STAGES, facts.run["stage"], {})


def phase(facts: Facts) -> Iterable[Point]:
    """Where the current step is."""
    for load in _playing(facts):
        yield from _one_hot("phase", _PHASES, load["phase"], {"experiment": load["experiment"]})


def health(facts: Facts) -> Iterable[Point]:
    """How each load generator does."""
    for load in _playing(facts):
        for worker in load["workers"]:
            yield from _one_hot("health", _HEALTH, worker["health"], {"worker": worker["worker"]})


def slo(facts: Facts) -> Iterable[Point]:
    """How each step stands; by the report, once it has judged."""
    for labels, step in _steps(facts):
        judged = facts.run["judged"].get(step["step"], {}).get("slo")
        yield from _one_hot("status", _SLO, judged or step["slo"], labels)


def limits(facts: Facts) -> Iterable[Point]:
    """The SLO's limits, in seconds."""
    for load in facts.loads:
        for each in load["objectives"]:
            labels = {key: each[key] for key in ("metric", "statistic")}
            yield Point({"experiment": load["experiment"], **labels}, each["limit_ms"] / 1000)


def requests(facts: Facts) -> Iterable[Point]:
    """How the requests of each load ended."""
    for load in facts.loads:
        for outcome in _OUTCOMES:
            yield Point(
                {"experiment": load["experiment"], "outcome": outcome}, load["outcomes"].get(outcome, 0)
            )


def errors(facts: Facts) -> Iterable[Point]:
    """Failures of each load by class."""
    for load in facts.loads:
        for error in load["errors"]:
            yield Point({"experiment": load["experiment"], "error.type": error["class"]}, error["count"])


def latencies(facts: Facts) -> Iterable[Point]:
    """p50 and p95 of each measured step, and the other statistics that the SLO limits, in seconds."""
    for labels, step in _measured(facts):
        found = {(check["metric"], check["statistic"]): check["value_ms"] for check in step["checks"]}
        found |= {(name, p): step[f"{name}_{p}_ms"] for name in _LATENCIES for p in ("p50", "p95")}
        for (name, statistic), value in found.items():
            if value is not None:
                yield Point({**labels, "metric": name, "statistic": statistic}, value / 1000)


def histogram(name: Latency, *, conventional: bool) -> Points:
    """The latencies of each load, in seconds.

    Args:
        name: of the latency.
        conventional: whether it has the labels that the GenAI conventions require.
    """
    bounds, key = BOUNDS_S[name], name.removesuffix("_ms")

    def points(facts: Facts) -> Iterable[Point]:
        for load in facts.loads:
            own = load["totals"][key]
            if any(own["counts"]):
                labels = _conventional(load) if conventional else {"experiment": load["experiment"]}
                yield Point(labels, Buckets(bounds, own["counts"], own["sum_ms"] / 1000))

    return points


def tokens(key: Literal["prompt_tokens", "completion_tokens"]) -> Points:
    """Tokens of each load; none where nobody has counted them."""
    return lambda facts: [
        Point({**_conventional(load), "gen_ai.token.modality": "text"}, found)
        for load in facts.loads
        if (found := load["totals"][key]) is not None
    ]


def _conventional(load: Data) -> Labels:
    operation = _OPERATIONS.get(load["request_schema"], "text_completion")
    return {
        "experiment": load["experiment"],
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDER,
    }
