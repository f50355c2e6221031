"""The parameters of a simulated GPU, as plain values: a container imports nothing that takes time to import.

`emulator.simulation` reads and validates them.
"""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le

SIMULATION_VARIABLE = "SIMULATION"
"""The environment variable with the JSON of a `Simulation`."""


@dataclass(frozen=True)
class LengthMode:
    """One mode of the answer lengths: a ``share`` of the answers, uniform over ``[low, high]`` tokens."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    share: Annotated[float, Gt(0), Le(1)]
    low: Annotated[int, Ge(1)]
    high: Annotated[int, Ge(1)]


@dataclass(frozen=True)
class GpuProfile:
    """How the simulated GPU behaves. Times in milliseconds or seconds as named, lengths in tokens.

    Prefill of n tokens takes ``prefill_ms + n / prefill_tokens_per_s``; a decode step of b streams takes
    ``decode_ms + decode_ms_per_stream * (b - 1)``. Prefill and decode share the GPU, as without chunking.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    source: str = ""
    matches: tuple[str, ...] = ()
    """Regular expressions for ``<instance type> <image> <model>``; the first profile that matches is used."""
    boot_seconds: Annotated[float, Ge(0)] = 0.3
    prefill_ms: Annotated[float, Ge(0)] = 10.0
    prefill_tokens_per_s: Annotated[float, Gt(0)] = 10_000.0
    decode_ms: Annotated[float, Gt(0)] = 20.0
    decode_ms_per_stream: Annotated[float, Ge(0)] = 0.25
    slots: Annotated[int, Ge(1)] = 64
    queue_limit: Annotated[int, Ge(0)] = 1_000
    """Requests beyond ``slots`` that may wait; further ones get the status ``queue_full_status``."""
    queue_full_status: Literal[429, 503] = 429
    kv_tokens: Annotated[int, Ge(1)] = 200_000
    """Prompt and answer tokens that fit in the cache at once; requests that do not fit wait."""
    context_tokens: Annotated[int, Ge(1)] = 8_192
    prefix_cache: bool = False
    """Whether texts are kept (`prefix_cache`): a beginning that is known needs no prefill, and OpenAI's
    ``usage`` reports it."""
    answers: tuple[LengthMode, ...] = (LengthMode(share=1.0, low=200, high=400),)
    seed: int = 0


@dataclass(frozen=True)
class Simulation:
    """Everything that a simulated container is told: it reads no file and no other variable."""

    profile: GpuProfile
    schema: Literal["tgi", "lmi", "openai"]
    tokenizer: str | None
    """Path of the ``tokenizer.json`` that counts prompt tokens; None to count words."""
    fault: str
    """The fault of every request: `emulator.containers.simulated`. Empty: none."""
    log: str | None
    """A file that gets one JSON line per request with its true times."""
    session_seconds: float | None = None
    """How long a stateful session is open; None: the container opens none."""


def simulation_to_json(simulation: Simulation) -> str:
    """For `simulation_from_json` in another process."""
    return json.dumps(asdict(simulation))


def simulation_from_json(text: str) -> Simulation:
    """What `simulation_to_json` wrote, which is valid."""
    content = json.loads(text)
    profile = content["profile"]
    profile["matches"] = tuple(profile["matches"])
    profile["answers"] = tuple(LengthMode(**mode) for mode in profile["answers"])
    return Simulation(**{**content, "profile": GpuProfile(**profile)})
