"""Does a search in real time find the knee that a simulated GPU's profile implies?

    python -m bench.benchmarks.search_emulated

Rehearses a search of the shipped ml.g5.xlarge plan against its simulated container, over TCP and in real
time, in five to ten minutes. The knee is computed beside it, from the constants of the profile alone.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import yaml
from pydantic import TypeAdapter

from bench.commands.run import AWS_PLAN
from emulator.containers.profile import GpuProfile
from emulator.simulation import FOLDER
from runfolder import layout

LIMIT_MS = 500.0
LOWEST, HIGHEST = 8, 128
PROFILE = FOLDER / "llama2-7b-ml.g5.xlarge.yml"
_MOST_TOKENS = 100
_PERCENTILE = 90
_WARM_UP_S, _LENGTH_S = 60.0, 1800.0


@dataclass(eq=False)
class _User:
    """One user of the closed loop: a request at a time."""

    sent_s: float = 0.0
    left: int = 0
    """Tokens that its answer still needs."""
    prompt: int = 0
    """Tokens of its prompt."""


@dataclass
class ProfileModel:
    """A batch of requests by the profile's constants, in simulated time.

    Written from the profile's description alone; it shares no code with the container's engine. A step
    prefills the requests that it admits and decodes one token for the others; every stream gets its token at
    the end. The cache of the profile holds more than its slots need with prompts this short, so the slots
    are the limit.

    Args:
        profile: its constants.
        prompts: lengths of prompts to draw from, tokens.
        seed: of the draws.
    """

    profile: GpuProfile
    prompts: Sequence[int]
    seed: int = 1
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def ttft_ms(self, users: int) -> np.ndarray:
        """TTFT of the requests of a long window with so many users, milliseconds."""
        waiting = [self._asks(_User(), 0.0) for _ in range(users)]
        running: list[_User] = []
        now, found = 0.0, list[float]()
        while now < _WARM_UP_S + _LENGTH_S:
            admitted = waiting[: self.profile.slots - len(running)]
            waiting = waiting[len(admitted) :]
            tokens = sum(user.prompt for user in admitted)
            now += len(admitted) * self.profile.prefill_ms / 1000 + tokens / self.profile.prefill_tokens_per_s
            if running:
                step_ms = self.profile.decode_ms + self.profile.decode_ms_per_stream * (len(running) - 1)
                now += step_ms / 1000
            if now > _WARM_UP_S:
                found += [1000 * (now - user.sent_s) for user in admitted]
            running += admitted
            for user in running:
                user.left -= 1
            ended = [user for user in running if user.left == 0]
            running = [user for user in running if user.left > 0]
            waiting += [self._asks(user, now) for user in ended]
        return np.array(found)

    def _asks(self, user: _User, now: float) -> _User:
        shares = [mode.share for mode in self.profile.answers]
        mode = self.profile.answers[self.random.choice(len(shares), p=np.array(shares) / sum(shares))]
        user.left = min(_MOST_TOKENS, int(self.random.integers(mode.low, mode.high + 1)))
        user.prompt = int(self.random.choice(self.prompts))
        user.sent_s = now
        return user


def knee(profile: GpuProfile, prompts: Sequence[int]) -> tuple[int, dict[int, float]]:
    """The most users whose TTFT p90 is within the limit, and that percentile for each level tried."""
    tried: dict[int, float] = {}
    low, high = LOWEST, HIGHEST
    while high - low > 1:
        middle = (low + high) // 2
        tried[middle] = float(np.percentile(ProfileModel(profile, prompts).ttft_ms(middle), _PERCENTILE))
        low, high = (middle, high) if tried[middle] <= LIMIT_MS else (low, middle)
    return low, tried


def search(folder: Path, at_most: str) -> dict[str, Any]:
    """Rehearse the search; its experiment in the summary."""
    plan = yaml.safe_load(AWS_PLAN.read_text(encoding="utf-8"))
    plan["workload"]["payload"] = "en_50-100"
    plan["workload"]["parameters"]["max_new_tokens"] = _MOST_TOKENS
    plan["load"] = {
        "search": {"over": "concurrency", "from": LOWEST, "to": HIGHEST, "at_most": at_most},
        "confirm": False,
        "warm_up": "10s",
        "measure": "90s",
    }
    plan["slo"] = {f"ttft_p{_PERCENTILE}": f"{LIMIT_MS:g}ms", "error_rate": 0.01}
    path = folder / "plan.yml"
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")
    options = ["--full", "--plan", str(path), "--results", str(folder)]
    subprocess.run(
        [sys.executable, "-m", "bench", "rehearse", *options], stdout=subprocess.DEVNULL, check=True
    )
    summary = json.loads((folder / layout.LATEST / "summary.json").read_text(encoding="utf-8"))
    experiment: dict[str, Any] = summary["experiments"][0]
    return experiment


@click.command(help="Search the simulated ml.g5.xlarge in real time, and compute its knee.")
@click.option("--at-most", default="10m", show_default=True, help="The longest load of the search.")
def main(at_most: str) -> None:
    """Play, compute and print."""
    profile = _profile()
    with tempfile.TemporaryDirectory() as scratch:
        experiment = search(Path(scratch), at_most)
        rows = pd.read_csv(Path(scratch) / layout.LATEST / layout.REQUESTS, low_memory=False)
    found = experiment["search"]
    prompts = rows["prompt_tokens"].dropna().astype(int).tolist()
    users, tried = knee(profile, prompts)
    print(f"{PROFILE.stem}, TTFT p{_PERCENTILE} ≤ {LIMIT_MS:g} ms, prompts of {np.mean(prompts):.0f} tokens")
    print(f"the profile implies: met up to {users} users")
    print("users: " + ", ".join(f"{level} {ms:.0f} ms" for level, ms in sorted(tried.items())))
    spent = found["spent_s"]
    print(f"the search found: met at {found['met']}, missed at {found['missed']}, after {spent:.0f} s")
    levels = {step["id"]: step["concurrency"] for step in experiment["steps"]}
    probes = [f"{levels[probe['step']]} {probe['verdict']}" for probe in found["probes"]]
    print("probes: " + ", ".join(probes))


def _profile() -> GpuProfile:
    return TypeAdapter(GpuProfile).validate_python(yaml.safe_load(PROFILE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
