"""``status.json``: what the run is doing right now, for whoever shows it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

STATUS = "status.json"

Phase = Literal["start", "ramp", "warm_up", "measure", "tail", "drain", "done"]


@dataclass(slots=True)
class Status:
    """The state of one experiment's load. None means not known (yet)."""

    experiment: str
    step: str | None = None
    ordinal: int = 0
    steps_total: int = 0
    phase: Phase = "start"
    users: int = 0
    target: int = 0
    in_flight: int = 0
    ok: int = 0
    failed: int = 0
    censored: int = 0
    requests_per_minute: float | None = None
    completion_tokens_per_s: float | None = None
    ttft_p50_ms: float | None = None
    e2e_p50_ms: float | None = None
    phase_elapsed_s: float = 0.0
    phase_total_s: float | None = None
    eta_s: float | None = None
    message: str = ""

    def save(self, folder: Path) -> None:
        """Write it atomically."""
        fresh = folder / f".{STATUS}.{os.getpid()}.tmp"
        fresh.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        fresh.replace(folder / STATUS)
