"""A run folder of a search, made from one with a list of steps."""

from pathlib import Path

import pandas as pd

from runfolder.manifest import read_manifest


def make_search(folder: Path, *, confirmations: int = 0, **load: object) -> None:
    """Turn the steps into probes, and the last ones into confirmations at a tenth of their users a second.

    Args:
        folder: of a run with one experiment.
        confirmations: how many of the steps are.
        load: further keys of the plan's section, such as ``measure``.
    """
    steps = pd.read_csv(folder / "steps.csv")
    users = [int(each) for each in steps["concurrency"]]
    steps["purpose"] = "probe"
    requests = pd.read_csv(folder / "requests.csv")
    for row in range(len(steps) - confirmations, len(steps)):
        steps.loc[row, ["concurrency", "rate", "purpose"]] = [None, users[row] / 10, "confirmation"]
        own = requests["step"] == steps.loc[row, "step"]
        requests.loc[own, "schedule_delay_ms"] = 1.0
    steps.to_csv(folder / "steps.csv", index=False)
    requests.to_csv(folder / "requests.csv", index=False)
    manifest = read_manifest(folder)
    search = {"over": "concurrency", "from": min(users), "to": 64, "resolution": 0.05, "at_most": 3600}
    manifest.plan["load"] = {"search": search, "measure": 120.0, "confirm": confirmations > 0, **load}
    manifest.save(folder)
