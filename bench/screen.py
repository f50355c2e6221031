"""What a person sees while a run goes on: a live table on a terminal, plain lines elsewhere."""

import contextlib
import sys
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any, Literal, Self, cast

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

Status = dict[str, Any]

_DELETING_S = 5.0
"""A deletion under way is news only when it takes longer than this."""


class _Enduring:
    """A standard stream that may go away: a terminal that is closed must not decide what is kept."""

    def __init__(self, name: Literal["stdout", "stderr"]) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(getattr(sys, self._name), attribute)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            getattr(sys, self._name).write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            getattr(sys, self._name).flush()


def _console(stream: Literal["stdout", "stderr"], **options: Any) -> Console:
    return Console(file=cast("IO[str]", _Enduring(stream)), highlight=False, **options)


console = _console("stderr")
answers = _console("stdout", soft_wrap=True)
"""For what the run found, which a person may send into a file."""


def say(message: str) -> None:
    """One line for the person who waits."""
    console.print(message, markup=False, soft_wrap=True)


def _number(value: object, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else "–"


class LoadScreen:
    """Shows the load's own status: a row per step that stays when the step is over."""

    _COLUMNS = (
        "step",
        "phase",
        "",
        "in flight",
        "ok",
        "failed",
        "req/min",
        "tokens/s",
        "TTFT p50",
        "E2E p50",
    )

    def __init__(self) -> None:
        self._rows: dict[str, Status] = {}
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._said: tuple[object, object] | None = None

    def __enter__(self) -> Self:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.__exit__(kind, error, trace)

    def update(self, status: Status) -> None:
        """Show ``status``, as the load generator wrote it to ``status.json``."""
        step = status.get("step")
        if not isinstance(step, str):
            return
        self._rows[step] = status
        if self._live:
            self._live.update(self._table())
        elif (step, status.get("phase")) != self._said:
            self._said = (step, status.get("phase"))
            say(_line(status))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for index, name in enumerate(self._COLUMNS):
            table.add_column(name, justify="left" if index < 3 else "right", no_wrap=True)
        newest = next(reversed(self._rows))
        for step, status in self._rows.items():
            running = step == newest and status.get("phase") != "done"
            done, total = status.get("phase_elapsed_s") or 0.0, status.get("phase_total_s") or 0.0
            bar = ProgressBar(total=total or 1.0, completed=done, width=14) if running else ""
            table.add_row(step, str(status.get("phase")) if running else "done", bar, *_figures(status))
        if message := self._rows[newest].get("message"):
            table.caption = str(message)
        return table


def _figures(status: Status) -> tuple[str, ...]:
    return (
        f"{_number(status.get('in_flight'), 'd')}/{_number(status.get('target'), 'd')}",
        _number(status.get("ok"), "d"),
        _number(status.get("failed"), "d"),
        _number(status.get("requests_per_minute"), ".1f"),
        _number(status.get("completion_tokens_per_s"), ".1f"),
        f"{_number(status.get('ttft_p50_ms'), '.0f')} ms",
        f"{_number(status.get('e2e_p50_ms'), '.0f')} ms",
    )


def _line(status: Status) -> str:
    _, ok, failed, per_minute, tokens, ttft, e2e = _figures(status)
    return (
        f"{status['step']}: {status.get('phase')} · {_number(status.get('users'), 'd')} users · {ok} ok, "
        f"{failed} failed · {per_minute} req/min · {tokens} tokens/s · TTFT {ttft} · E2E {e2e}"
    )


def deploy_reporter(label: str) -> Callable[[str, float, float | None, float | None], None]:
    """A progress callback for deploys: says each new status once, with time and cost so far."""
    last: list[str] = []

    def report(status: str, elapsed_s: float, usual_s: float | None, cost_usd: float | None) -> None:
        soon_over = status.endswith("deleting") and elapsed_s < _DELETING_S
        if soon_over or (last == [status] and not (console.is_terminal and int(elapsed_s) % 30 == 0)):
            return
        last[:] = [status]
        usual = f", usually {usual_s / 60:.0f} min" if usual_s else ""
        cost = f", ${cost_usd:.3f} so far" if cost_usd and cost_usd >= 0.0005 else ""
        say(f"{label}: {status} after {elapsed_s:.0f} s{usual}{cost}")

    return report


_SUMMARY: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("users", lambda step: f"{step['concurrency']}"),
    ("trust", lambda step: str(step["trust"]["level"])),
    ("SLO", lambda step: _slo(step["slo"])),
    ("ok", lambda step: _answered(step["requests_ok"], step["requests_failed"])),
    ("req/min", lambda step: _number(step["requests_per_minute"], ".1f")),
    ("tok/s", lambda step: _number(step["completion_tokens_per_s"], ".1f")),
    ("TTFT", lambda step: _latency(step["ttft_ms"]["p50"])),
    ("TPOT", lambda step: _latency(step["tpot_ms"]["p50"], digits=1)),
    ("E2E", lambda step: _latency(step["e2e_ms"]["p50"])),
    ("$/10k", lambda step: _number(_times(step["usd_per_request"], 10_000), ",.3f")),
)  # fmt: skip


def summary_table(experiment: dict[str, Any]) -> Table:
    """The measured steps of an experiment of ``summary.json``, a row each."""
    table = Table(
        title=f"{experiment['name']}, latencies at p50", title_justify="left", box=None, pad_edge=False
    )
    for name, _ in _SUMMARY:
        table.add_column(name, justify="left" if name in ("trust", "SLO") else "right", no_wrap=True)
    for step in experiment["steps"]:
        table.add_row(*(cell(step) for _, cell in _SUMMARY))
    return table


def _answered(ok: int, failed: int) -> str:
    """``104``, or ``102/104`` where some failed."""
    return f"{ok}/{ok + failed}" if failed else str(ok)


def _latency(milliseconds: float | None, digits: int = 0) -> str:
    """``835 ms``, ``31.3 ms`` with a digit, ``3.25 s``."""
    if milliseconds is None:
        return "–"
    return f"{milliseconds / 1000:.2f} s" if milliseconds >= 1000 else f"{milliseconds:.{digits}f} ms"


def _slo(judged: dict[str, Any] | None) -> str:
    """``met``, ``missed``, ``open``; an en dash where there is nothing to meet."""
    return str(judged["judgement"]) if judged and judged["objectives"] else "–"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
