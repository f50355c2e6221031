"""How `bench` tells the load what to do: one small file in the run folder, replaced with every command.

Whoever looks at the measurements while the load runs writes it, and the master of the load reads it. Each
command names the step for which it holds, so that an old one changes nothing.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common.files import write_atomically
from runfolder.records import StepPurpose

LOAD_COMMAND = "load_command.json"


class LoadCommand(BaseModel):
    """What to do at the step with the number ``at`` (0: before the first).

    ``measure`` ends its warm-up, ``close`` its measurement, and ``play`` the step itself, so that the next
    one begins; ``end`` ends the load. ``wait`` changes nothing, and says what is known so far.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    at: Annotated[int, Field(ge=0)]
    action: Literal["measure", "wait", "close", "play", "end"]
    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = None
    rate: Annotated[float, Field(gt=0, le=100_000)] | None = None
    purpose: StepPurpose | None = None
    reach: Annotated[float, Field(ge=0)] | None = None
    """How far the interval that a measurement waits for reaches to each side, as a share of its statistic."""
    looks_at: float | None = None
    """When the measurement is looked at next, epoch seconds."""

    @model_validator(mode="after")
    def _plays_one_level(self) -> Self:
        levels = [level for level in (self.concurrency, self.rate) if level is not None]
        if len(levels) != (self.action == "play"):
            raise ValueError("a command to play names one level, and no other command does")
        return self

    def write(self, folder: Path) -> None:
        """Replace the command in a run folder."""
        write_atomically(folder / LOAD_COMMAND, self.model_dump_json() + "\n")


def read_load_command(folder: Path) -> LoadCommand | None:
    """The command in a run folder; None without one.

    Raises:
        ValueError: the file holds no valid command.
    """
    try:
        return LoadCommand.model_validate_json((folder / LOAD_COMMAND).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ValueError(f"{LOAD_COMMAND} is not valid: {error.errors()[0]['msg']}") from None
