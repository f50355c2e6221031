"""Frames of records for hand-worked examples."""

from typing import Any

import numpy as np
import pandas as pd

from runfolder.records import REQUEST_COLUMNS


def records(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows of the record; what is not given is not measured, an outcome is ok."""
    frame = pd.DataFrame([{"step": "s", "outcome": "ok"} | row for row in rows])
    frame = frame.reindex(columns=list(REQUEST_COLUMNS))
    for name in REQUEST_COLUMNS:
        if name.endswith(("_ms", "_at", "_tokens")) or name == "chunks":
            frame[name] = frame[name].astype(float)
    return frame.replace({None: np.nan})


def streamed(
    start: float, ttft: float, e2e: float, tokens: int, first: int = 1, **more: Any
) -> dict[str, Any]:
    """An ok streamed answer: start in seconds, latencies in milliseconds."""
    return {
        "started_at": start,
        "ttft_ms": ttft,
        "e2e_ms": e2e,
        "completion_tokens": tokens,
        "first_chunk_tokens": first,
    } | more
