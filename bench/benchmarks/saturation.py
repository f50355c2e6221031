"""How often a steady step is called saturated, and how soon one that does not keep up.

    python -m bench.benchmarks.saturation

Simulated queues over windows of two minutes, looked at as in a run: Poisson arrivals at a server with ten
places, where each answer takes 2 s on average. Prints a Markdown table.
"""

import heapq
import random

from locustfiles.master.saturation import SaturationCheck

WINDOW_S, SAMPLE_S, WARM_UP_S = 120.0, 0.5, 60.0
PLACES, ANSWER_S, FIRST_TOKEN_S = 10, 2.0, 0.1
LOADS = (0.3, 0.5, 0.7, 0.8, 0.9, 1.1, 1.3, 2.0)
"""Arrivals as a share of what the server can do."""
STEPS = 400


def ended_after(load: float, seed: int) -> float | None:
    """Seconds after which a simulated step is ended early; None if it is not."""
    chance, check = random.Random(seed), SaturationCheck(WINDOW_S, load * PLACES / ANSWER_S)  # noqa: S311 - reproducible
    free = [0.0] * PLACES
    arrivals: list[tuple[float, float, float]] = []
    at = 0.0
    while at < WARM_UP_S + WINDOW_S:
        at += chance.expovariate(load * PLACES / ANSWER_S)
        start = max(at, heapq.heappop(free))
        end = start + chance.lognormvariate(0.0, 0.5) * ANSWER_S / 1.133  # the mean of this lognormal
        heapq.heappush(free, end)
        arrivals.append((at, start, end))
    ended = sorted((end, at, start) for at, start, end in arrivals if at >= WARM_UP_S)
    done = 0
    for index in range(int(WINDOW_S / SAMPLE_S)):
        now = WARM_UP_S + index * SAMPLE_S
        while done < len(ended) and ended[done][0] <= now:
            _, at, start = ended[done]
            check.add_ttft(1000 * (start - at + FIRST_TOKEN_S))
            done += 1
        in_flight = sum(at <= now < end for at, _, end in arrivals)
        if check.check(now - WARM_UP_S, in_flight, 0):
            return now - WARM_UP_S
    return None


def main() -> None:
    """Print the share of steps that are ended, and when, for each load."""
    print("| arrivals, share of what the server can do | steps called saturated | after, median |")
    print("|---:|---:|---:|")
    for load in LOADS:
        ends = [ended_after(load, seed) for seed in range(STEPS)]
        known = sorted(end for end in ends if end is not None)
        after = f"{known[len(known) // 2]:.0f} s" if known else "–"
        print(f"| {load:.0%} | {len(known) / STEPS:.1%} | {after} |", flush=True)


if __name__ == "__main__":
    main()
