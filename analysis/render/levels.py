"""What a step asked for, in words: users of a closed loop, or arrivals per second of an open loop."""

from analysis.decide.recommendation import Candidate
from analysis.measure.results import RunResult, StepResult
from common.formatting import ABSENT, listed


def level_value(step: StepResult) -> str:
    """``4``, ``0.5/s``; with its number a repetition, ``4 #2``, and a piece of a shape, ``2: 4 to 9/s``."""
    known = ABSENT if step.level is None else _asked(step)
    unit = "" if step.rate is None else "/s"
    again = f" #{step.repetition}" if step.repetition > 1 else ""
    piece = "" if step.piece is None else f"{step.piece}: "
    return f"{piece}{known}{unit}{again}"


def _asked(step: StepResult) -> str:
    """The level, or the first and the last one of a ramp."""
    if step.ramp is None or step.ramp[0] == step.ramp[1]:
        return f"{step.level:.4g}"
    return f"{step.ramp[0]:.4g} to {step.ramp[1]:.4g}"


def level_name(step: StepResult) -> str:
    """``concurrency 4``, ``0.5 requests/s``, ``0.1 conversations/s``."""
    if step.rate is not None:
        return f"{_asked(step)} {step.arrivals_noun}/s"
    return f"concurrency {_asked(step)}"


def level_names(steps: list[StepResult]) -> str:
    """After "at": ``concurrency 4 and 8``, ``1 and 2 requests/s``, ``concurrency 4 and at 1 requests/s``."""
    users = [f"{step.concurrency}" for step in steps if step.rate is None]
    rates = [f"{step.rate:.4g}" for step in steps if step.rate is not None]
    noun = next((step.arrivals_noun for step in steps if step.rate is not None), "requests")
    return " and at ".join(
        [f"concurrency {listed(users)}"] * bool(users) + [f"{listed(rates)} {noun}/s"] * bool(rates)
    )


def level_noun(result: RunResult) -> str:
    """What a level is called in the run: ``concurrency``, ``arrival rate``, or ``load`` where it has both."""
    if result.open_loop and result.closed_loop:
        return "load"
    return "arrival rate" if result.open_loop else "concurrency"


def level_axis(result: RunResult) -> str:
    """The same with its unit, for the axis of a picture."""
    if result.open_loop and result.closed_loop:
        return "requests in flight, or arrivals/s"
    noun = next((step.arrivals_noun for step in result.steps if step.rate is not None), "requests")
    return f"arrivals ({noun}/s)" if result.open_loop else "concurrency (requests in flight)"


def candidate_label(candidate: Candidate) -> str:
    """``ml.g5.xlarge at concurrency 4``."""
    return f"{candidate.experiment.deployed} at {level_name(candidate.step)}"
