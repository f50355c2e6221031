"""What a step asked for, in words: users of a closed loop, or arrivals per second of an open loop."""

from analysis.decide.recommendation import Candidate
from analysis.measure.results import RunResult, StepResult
from common.formatting import ABSENT, listed


def level_value(step: StepResult) -> str:
    """``4``, ``0.5/s``; a repetition has its number: ``4 #2``."""
    known = ABSENT if step.level is None else f"{step.level:.4g}"
    unit = "" if step.rate is None else "/s"
    again = f" #{step.repetition}" if step.repetition > 1 else ""
    return f"{known}{unit}{again}"


def level_name(step: StepResult) -> str:
    """``concurrency 4``, ``0.5 requests/s``."""
    if step.rate is not None:
        return f"{step.rate:.4g} requests/s"
    return f"concurrency {step.concurrency}"


def level_names(steps: list[StepResult]) -> str:
    """``concurrency 4 and 8``, ``0.5 and 1 requests/s``; the steps are of one kind of load."""
    values = listed([f"{step.level:.4g}" for step in steps if step.level is not None])
    return f"{values} requests/s" if steps[0].rate is not None else f"concurrency {values}"


def level_noun(result: RunResult) -> str:
    """What a level is called in the run: ``concurrency``, ``arrival rate``."""
    return "arrival rate" if result.open_loop else "concurrency"


def level_axis(result: RunResult) -> str:
    """The same with its unit, for the axis of a picture."""
    return "arrivals (requests/s)" if result.open_loop else "concurrency (requests in flight)"


def candidate_label(candidate: Candidate) -> str:
    """``ml.g5.xlarge at concurrency 4``."""
    return f"{candidate.experiment.deployed} at {level_name(candidate.step)}"
