"""Increase the concurrency, over HTTP and TLS, and keep how much of it this machine measures accurately."""

import json
import os
import platform
import select
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.calibration.probe import LevelResult, play_levels
from bench.calibration.truth import AnswerSchedule
from common.errors import UserError
from common.files import write_atomically

LEVELS = (1, 4, 16, 64, 128, 256, 512, 1024)
QUICK_LEVELS = (1, 64, 256)
SCHEDULE = AnswerSchedule(ttft=0.2, gap=0.05, tokens=40)

TTFT_P50_MS, TTFT_P99_MS, TPOT_P99_MS, IN_FLIGHT = 0.5, 5.0, 0.05, 0.98
"""Limits of an accurate level: the largest errors, and the smallest share of the streams in flight."""


def is_accurate(level: LevelResult) -> bool:
    """Whether a level kept every limit."""
    errors = (
        (level.ttft_error_p50_ms, TTFT_P50_MS),
        (level.ttft_error_p99_ms, TTFT_P99_MS),
        (level.tpot_error_p99_ms, TPOT_P99_MS),
    )
    return (
        all(value is not None and abs(value) <= limit for value, limit in errors)
        and level.in_flight >= IN_FLIGHT * level.streams
        and not level.failed
    )


def max_accurate_concurrency(levels: Sequence[LevelResult]) -> int | None:
    """The highest concurrency up to which every level was accurate; None if not even the first was."""
    largest = None
    for level in sorted(levels, key=lambda level: level.streams):
        if not is_accurate(level):
            break
        largest = level.streams
    return largest


def calibrate(
    levels: Sequence[int] = LEVELS,
    *,
    tls: Sequence[bool] = (False, True),
    seconds: float = 8.0,
    tokens: int = SCHEDULE.tokens,
    keep: Path,
    progress: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Measure, write the result to ``keep`` and return it.

    Args:
        levels: concurrencies.
        tls: whether to go over TLS; both by default.
        seconds: length of a level's window.
        tokens: length of an answer.
        keep: file for the result; reports of runs on this machine quote it.
        progress: called with a line for the user before each protocol.

    Raises:
        UserError: not Linux, or the load generator or the server did not start.
    """
    if not hasattr(select, "epoll"):
        raise UserError(
            "calibrate needs Linux: it measures against kernel receive timestamps, which this system lacks",
            "run it on the machine that will generate the load",
        )
    schedule = AnswerSchedule(SCHEDULE.ttft, SCHEDULE.gap, tokens)
    measured: list[LevelResult] = []
    for encrypted in tls:
        name = "TLS" if encrypted else "HTTP"
        progress(f"{name}: {', '.join(map(str, levels))} streams, about {len(levels) * (seconds + 7):.0f} s")
        with tempfile.TemporaryDirectory(prefix="calibration-") as folder:
            measured += play_levels(levels, Path(folder), tls=encrypted, seconds=seconds, schedule=schedule)
    result = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "versions": {name: version(name) for name in ("locust", "gevent", "geventhttpclient")},
        "truth": {"ttft_ms": schedule.ttft * 1000, "gap_ms": schedule.gap * 1000, "tokens": tokens},
        "limits": {
            "ttft_p50_ms": TTFT_P50_MS,
            "ttft_p99_ms": TTFT_P99_MS,
            "tpot_p99_ms": TPOT_P99_MS,
            "in_flight": IN_FLIGHT,
        },
        "max_accurate_concurrency": {
            "TLS" if encrypted else "HTTP": max_accurate_concurrency(
                [level for level in measured if level.tls == encrypted]
            )
            for encrypted in tls
        },
        "levels": [{**asdict(level), "accurate": is_accurate(level)} for level in measured],
    }
    keep.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(keep, json.dumps(result, indent=2) + "\n")
    return result
