"""A run folder of steps that ended by their figures, made from one with fixed lengths."""

from pathlib import Path
from typing import Any

import pandas as pd

from configs.load import Load
from runfolder.manifest import read_manifest


def make_adaptive(folder: Path, *, warm_up: Any = None, **measure: Any) -> None:
    """Say that the steps waited for ±5% of the E2E p95 for at most 10 minutes, and for a steady load.

    Args:
        folder: of a run with one experiment.
        warm_up: the plan's; at most 2 minutes by default.
        measure: keys of the plan that differ.
    """
    manifest = read_manifest(folder)
    load = Load.model_validate({
        "concurrency": sorted(set(pd.read_csv(folder / "steps.csv")["concurrency"].astype(int))),
        "warm_up": {"until": "steady"} if warm_up is None else warm_up,
        "measure": {"until": "5%", "of": "e2e_p95", "at_most": "10m"} | measure,
    })  # fmt: skip
    manifest.plan["load"] = load.model_dump(mode="json", by_alias=True)
    manifest.save(folder)
