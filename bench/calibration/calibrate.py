"""Up the levels of concurrency, over HTTP and TLS, and keep what this machine can measure honestly."""

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

from bench.calibration.probe import Level, play_levels
from bench.calibration.truth import Profile
from common.errors import UserError
from common.files import write_atomically

LEVELS = (1, 4, 16, 64, 128, 256, 512, 1024)
QUICK_LEVELS = (1, 64, 256)
PROFILE = Profile(ttft=0.2, gap=0.05, tokens=40)

TTFT_P50_MS, TTFT_P99_MS, TPOT_P99_MS, IN_FLIGHT = 0.5, 5.0, 0.05, 0.98
"""What makes a level honest: errors at most these, and at least this share of the streams in flight."""


def honest(level: Level) -> bool:
    """Whether the figures of a level can be believed."""
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


def largest_honest(levels: Sequence[Level]) -> int | None:
    """The highest concurrency below which every level was honest; None when not even the first was."""
    largest = None
    for level in sorted(levels, key=lambda level: level.streams):
        if not honest(level):
            break
        largest = level.streams
    return largest


def calibrate(
    levels: Sequence[int] = LEVELS,
    *,
    tls: Sequence[bool] = (False, True),
    seconds: float = 8.0,
    tokens: int = PROFILE.tokens,
    keep: Path,
    progress: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Measure, write ``keep`` and return what was written.

    Args:
        levels: concurrencies.
        tls: whether to go over TLS; both by default.
        seconds: length of a level's window.
        tokens: length of an answer.
        keep: where the result goes; reports from this machine quote it.
        progress: told what is going on.

    Raises:
        UserError: not Linux, or the load generator or the server did not start.
    """
    if not hasattr(select, "epoll"):
        raise UserError(
            "calibrate needs Linux: it measures against kernel receive timestamps, which this system lacks; "
            "run it on the machine that will generate the load"
        )
    profile = Profile(PROFILE.ttft, PROFILE.gap, tokens)
    measured: list[Level] = []
    for encrypted in tls:
        name = "TLS" if encrypted else "HTTP"
        progress(f"{name}: {', '.join(map(str, levels))} streams, about {len(levels) * (seconds + 7):.0f} s")
        with tempfile.TemporaryDirectory(prefix="calibration-") as folder:
            measured += play_levels(levels, Path(folder), tls=encrypted, seconds=seconds, profile=profile)
    result = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "versions": {name: version(name) for name in ("locust", "gevent", "geventhttpclient")},
        "truth": {"ttft_ms": profile.ttft * 1000, "gap_ms": profile.gap * 1000, "tokens": tokens},
        "limits": {
            "ttft_p50_ms": TTFT_P50_MS,
            "ttft_p99_ms": TTFT_P99_MS,
            "tpot_p99_ms": TPOT_P99_MS,
            "in_flight": IN_FLIGHT,
        },
        "honest_concurrency": {
            "TLS" if encrypted else "HTTP": largest_honest([lv for lv in measured if lv.tls == encrypted])
            for encrypted in tls
        },
        "levels": [{**asdict(level), "honest": honest(level)} for level in measured],
    }
    keep.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(keep, json.dumps(result, indent=2) + "\n")
    return result
