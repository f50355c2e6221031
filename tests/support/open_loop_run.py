"""A run folder of an open loop, made from a closed one."""

from pathlib import Path

import pandas as pd

from runfolder.manifest import read_manifest


def make_open_loop(folder: Path, delay_ms: float = 2.0) -> None:
    """Turn each concurrency N into N / 10 arrivals per second; every request is sent ``delay_ms`` late."""
    steps = pd.read_csv(folder / "steps.csv")
    rates = steps["concurrency"] / 10
    steps["rate"], steps["concurrency"] = rates, None
    steps.to_csv(folder / "steps.csv", index=False)
    requests = pd.read_csv(folder / "requests.csv")
    requests["schedule_delay_ms"], requests["arrival"] = delay_ms, range(1, len(requests) + 1)
    requests.to_csv(folder / "requests.csv", index=False)
    manifest = read_manifest(folder)
    load = manifest.plan["load"]
    manifest.plan["load"] = {key: value for key, value in load.items() if key != "concurrency"} | {
        "rate": list(dict.fromkeys(rates))
    }
    manifest.save(folder)
