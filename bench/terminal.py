"""What a run prints: lines about what is going on, and the results at the end."""

from collections.abc import Callable
from textwrap import TextWrapper
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from common.formatting import ABSENT
from common.text import one_line, printable
from deploy.lifecycle.progress import OnProgress, Progress

Status = dict[str, Any]

_DELETING_S = 5.0
"""A deletion is reported only when it takes longer than this."""


status_console = Console(stderr=True, highlight=False)
result_console = Console(highlight=False, soft_wrap=True)
"""For results, which a user may redirect into a file."""


def print_status(message: str) -> None:
    """Print one line about what is going on, to stderr."""
    status_console.print(printable(message), markup=False, soft_wrap=True)


def print_sentences(text: str) -> None:
    """Print a result in sentences. A terminal gets lines that end between words; a path stays whole."""
    lines = printable(text).splitlines()
    if result_console.is_terminal:
        wrapper = TextWrapper(result_console.width, break_long_words=False, break_on_hyphens=False)
        lines = [wrapper.fill(line) for line in lines]
    result_console.print("\n".join(lines), markup=False)


def deploy_reporter(label: str, reminder_s: float | None = None) -> OnProgress:
    """A progress callback that prints each new state.

    Args:
        label: that begins each line.
        reminder_s: seconds after which a state is told again; None: once is enough.
    """
    last: list[tuple[str, int]] = []

    def report(progress: Progress) -> None:
        text = f"{progress.item.kind}: {progress}" if progress.is_deletion else str(progress)
        soon_over = progress.state == "deleting" and progress.elapsed_s < _DELETING_S
        reported = (text, int(progress.elapsed_s // reminder_s) if reminder_s else 0)
        if soon_over or last == [reported]:
            return
        last[:] = [reported]
        usual = f", usually {progress.usual_s / 60:.0f} min" if progress.usual_s else ""
        show_cost = progress.cost_usd is not None and progress.cost_usd >= 0.0005
        cost = f", ${progress.cost_usd:.3f} so far" if show_cost else ""
        print_status(f"{label}: {text} after {progress.elapsed_s:.0f} s{usual}{cost}")

    return report


def _level(step: dict[str, Any]) -> str:
    """``4``, ``0.5/s``; of a ramp its ends, ``1 to 8``."""
    level = step["rate"] or step["concurrency"]
    first, last = step["ramp"] or (level, level)
    if level is None:
        return "–"
    asked = f"{level:.4g}" if first == last else f"{first:.4g} to {last:.4g}"
    return f"{asked}/s" if step["rate"] else asked


_SUMMARY: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("load", _level),
    ("trust", lambda step: str(step["trust"]["level"])),
    ("SLO", lambda step: _slo(step["slo"])),
    ("ok", lambda step: _ok_of_all(step["requests_ok"], step["requests_failed"])),
    ("req/min", lambda step: _number(step["requests_per_minute"], ".1f")),
    ("tok/s", lambda step: _number(step["completion_tokens_per_s"], ".1f")),
    ("TTFT", lambda step: _latency(step["ttft_ms"]["p50"])),
    ("TPOT", lambda step: _latency(step["tpot_ms"]["p50"], digits=1)),
    ("E2E", lambda step: _latency(step["e2e_ms"]["p50"])),
    ("$/10k", lambda step: _number(_times(step["usd_per_request"], 10_000), ",.3f")),
)  # fmt: skip


def summary_table(experiment: dict[str, Any]) -> Table:
    """The measured steps of an experiment of ``summary.json``, a row each."""
    title = Text(one_line(f"{experiment['name']}, latencies at p50"), no_wrap=True, overflow="ellipsis")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name, _ in _SUMMARY:
        table.add_column(name, justify="left" if name in ("trust", "SLO") else "right", no_wrap=True)
    for step in experiment["steps"]:
        table.add_row(*(Text(cell(step)) for _, cell in _SUMMARY))
    return table


def _number(value: float | None, form: str) -> str:
    return ABSENT if value is None else format(value, form)


def _ok_of_all(ok: int, failed: int) -> str:
    """``104``, or ``102/104`` where some failed."""
    return f"{ok}/{ok + failed}" if failed else str(ok)


def _latency(milliseconds: float | None, digits: int = 0) -> str:
    """``835 ms``, ``31.3 ms`` with a digit, ``3.25 s``."""
    if milliseconds is None:
        return ABSENT
    return f"{milliseconds / 1000:.2f} s" if milliseconds >= 1000 else f"{milliseconds:.{digits}f} ms"


def _slo(judged: dict[str, Any] | None) -> str:
    """``met``, ``missed`` or ``open``; an en dash where the plan has no objectives."""
    return str(judged["status"]) if judged and judged["objectives"] else ABSENT


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
