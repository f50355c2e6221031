"""How often a steady step is called saturated, by how long its load remembers.

    python -m bench.benchmarks.saturation

Simulated requests in flight over windows of two minutes, looked at as in a run. Prints a Markdown table.
"""

import math
import random
from itertools import count

from locustfiles.master.saturation import SaturationCheck

WINDOW_S, SAMPLE_S = 120.0, 0.5
MEMORIES_S = (0.0, 1.0, 2.0, 5.0, 10.0)
STEPS = 1000


def is_called_saturated(memory_s: float, seed: int) -> bool:
    """Whether a steady step with 10 requests in flight, give or take 3, is ended early."""
    chance, check, noise = random.Random(seed), SaturationCheck(WINDOW_S), 0.0  # noqa: S311 - reproducible
    kept = math.exp(-SAMPLE_S / memory_s) if memory_s else 0.0
    for index in count():
        elapsed_s = index * SAMPLE_S
        if elapsed_s >= WINDOW_S:
            return False
        noise = kept * noise + chance.gauss(0, 3 * math.sqrt(1 - kept**2))
        if check.check(elapsed_s, max(0, round(10 + noise)), 0):
            return True
    raise AssertionError


def main() -> None:
    """Print the share of false alarms for each memory."""
    print("| memory of the load | steady steps called saturated |")
    print("|---:|---:|")
    for memory_s in MEMORIES_S:
        alarms = sum(is_called_saturated(memory_s, seed) for seed in range(STEPS))
        print(f"| {memory_s:g} s | {alarms / STEPS:.1%} |", flush=True)


if __name__ == "__main__":
    main()
