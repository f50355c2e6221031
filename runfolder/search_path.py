"""The path of a search so far, for displays: one small file in the run folder, replaced at every look.

The search (in `bench`) writes it, the master of the load reads it for the live page. The report does not need
it: it judges the same steps again, with the same functions.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from common.files import write_atomically
from runfolder.records import StepPurpose

SEARCH_PATH = "search_path.json"

ProbeVerdict = Literal["met", "missed", "undecided", "not reached", "void"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MeasuredCriterion(_Data):
    """What a probe measured of one objective, or of the errors, with its 95% interval."""

    name: str
    """Label of the objective, or ``errors``."""
    kind: Literal["share", "mean", "errors"]
    """``share``: of requests above the limit. ``mean``: ms. ``errors``: share of requests that failed."""
    value: float
    low: float
    high: float
    allowed: float


class ProbeState(_Data):
    """One probe or confirmation. Its verdict may change when later ones say more about its level."""

    step: str
    """Id of the step."""
    level: float
    """Users, or requests per second of a search over the rate and of every confirmation."""
    purpose: StepPurpose
    verdict: ProbeVerdict | None = None
    """None before the first look."""
    reasons: tuple[str, ...] = ()
    """Codes of the trust gate, where the probe decides nothing or is saturated."""
    measured_s: float = 0.0
    requests: int = 0
    spent_s: float | None = None
    """Load time with ramp, warm-up and tail; None while it runs."""
    running: bool = False
    looks_at: float | None = None
    """When the search looks at a running probe next, epoch seconds. None once its measurement is closed."""
    criteria: tuple[MeasuredCriterion, ...] = ()


class SearchPath(_Data):
    """A search so far."""

    experiment: str
    over: Literal["concurrency", "rate"]
    lowest: float
    highest: float
    resolution: float
    at_most_s: float | None
    spent_s: float
    """Load time of the probes that are over."""
    met: float | None
    """The highest level that is met; ``met_surely`` says whether by its interval."""
    met_surely: bool
    missed: float | None
    """The lowest level that is missed; ``missed_surely`` says whether by its interval."""
    missed_surely: bool
    out_of_reach: float | None
    """The lowest level that could not be judged, twice."""
    end: str | None
    """Why the search ended by itself, an `EndCode` of `analysis.decide.search.method`; None while it runs."""
    probes: tuple[ProbeState, ...]
    """In the order in which they were played."""

    def write(self, folder: Path) -> None:
        """Replace the path in a run folder."""
        write_atomically(folder / SEARCH_PATH, self.model_dump_json() + "\n")


def read_search_path(folder: Path) -> SearchPath | None:
    """The path in a run folder; None without one.

    Raises:
        ValueError: the file holds no valid path.
    """
    try:
        return SearchPath.model_validate_json((folder / SEARCH_PATH).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ValueError(f"{SEARCH_PATH} is not valid: {error.errors()[0]['msg']}") from None
