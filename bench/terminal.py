"""What a run prints: a live table on a terminal, plain lines elsewhere, and the results at the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from common.text import one_line, printable
from deploy.lifecycle.progress import OnProgress, Progress

Status = dict[str, Any]

_REMINDER_S = 30.0
_DELETING_S = 5.0
"""A deletion is reported only when it takes longer than this."""


status_console = Console(stderr=True, highlight=False)
result_console = Console(highlight=False, soft_wrap=True)
"""For results, which a user may redirect into a file."""


def print_status(message: str) -> None:
    """Print one line about what is going on, to stderr."""
    status_console.print(printable(message), markup=False, soft_wrap=True)


def _number(value: object, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else "–"


class LoadScreen:
    """Shows the load's own status, one row per step.

    The running step is always shown; of the earlier ones, as many as fit the terminal.
    """

    def __init__(self, terminal: Console | None = None) -> None:
        self._console = terminal or status_console
        self._rows: dict[str, Status] = {}
        self._live = Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None
        self._printed: tuple[object, object] | None = None

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
            self._live.update(self.render())
        elif (step, status.get("phase")) != self._printed:
            self._printed = (step, status.get("phase"))
            print_status(_line(status))

    def render(self) -> RenderableType:
        """The table, the progress bar and the message, cut to the size of the terminal."""
        shown = max(1, self._console.height - _LINES_AROUND_ROWS)
        statuses = list(self._rows.values())
        earlier, latest = statuses[:-shown], statuses[-shown:]
        newest = latest[-1]
        lines: list[RenderableType] = [_cut(f"{newest.get('experiment') or ''}{_place(newest)}", "bold")]
        if earlier:
            lines.append(_cut(_earlier_steps(earlier)))
        columns = list(_COLUMNS)
        unbounded = self._console.options.update_width(_ANY_WIDTH)
        while (
            self._console.measure(table := _table(columns, latest), options=unbounded).maximum
            > self._console.width
        ):
            dispensable = next((column for column in reversed(columns) if column.optional), None)
            if dispensable is None:
                break
            columns.remove(dispensable)
        lines.append(table)
        lines.append(_progress(newest, self._console.width))
        if message := one_line(str(newest.get("message") or "")):
            lines.append(_cut(message))
        return Group(*lines)


_LINES_AROUND_ROWS = 7
"""Title, earlier steps, header, progress, message, cursor and the line above."""
_BAR = 20
_WIDE = 60
_ANY_WIDTH = 1000


def _cut(text: str, style: str = "") -> Text:
    """One line of text from outside, without markup, cut to the terminal's width."""
    return Text(one_line(text), style=style, no_wrap=True, overflow="ellipsis")


def _place(status: Status) -> str:
    total = status.get("steps_total")
    return f": step {status.get('ordinal')} of {total}" if total else ""


def _earlier_steps(statuses: Sequence[Status]) -> str:
    ok, failed = (sum(status.get(key) or 0 for status in statuses) for key in ("ok", "failed"))
    return f"… {len(statuses)} earlier steps: {ok} ok, {failed} failed"


def _progress(status: Status, width: int) -> RenderableType:
    done, total = status.get("phase_elapsed_s") or 0.0, status.get("phase_total_s")
    phase = str(status.get("phase") or "").replace("_", " ")
    if phase == "done" or not total:
        return _cut(f"{phase} {done:.0f} s" if phase != "done" else "done")
    line = Table.grid(padding=(0, 1))
    left = status.get("eta_s")
    bar = ProgressBar(total=total, completed=min(done, total), width=min(_BAR, max(4, width // 4)))
    ends = f"at most {left:.0f} s left" if isinstance(left, int | float) and width >= _WIDE else ""
    line.add_row(_cut(f"{phase} {done:.0f} of {total:.0f} s"), bar, _cut(ends))
    return line


def _in_flight(status: Status) -> str:
    """``3/4``; of an open loop, which has no target, ``3``."""
    target = status.get("target")
    own = _number(status.get("in_flight"), "d")
    return own if target is None and status.get("rate") else f"{own}/{_number(target, 'd')}"


@dataclass(frozen=True)
class _Column:
    """A column of the live table. Optional ones are left out, the last first, when the terminal is narrow."""

    title: str
    cell: Callable[[Status], str]
    optional: bool = False


_COLUMNS = (
    _Column("step", lambda status: str(status.get("step")).rpartition("/")[2]),
    _Column("phase", lambda status: str(status.get("phase")).replace("_", " ")),
    _Column(
        "in flight",
        _in_flight,
    ),
    _Column("ok", lambda status: _number(status.get("ok"), "d")),
    _Column("failed", lambda status: _number(status.get("failed"), "d")),
    _Column("req/min", lambda status: _number(status.get("requests_per_minute"), ".1f"), optional=True),
    _Column("TTFT p50", lambda status: _latency(status.get("ttft_p50_ms")), optional=True),
    _Column("E2E p50", lambda status: _latency(status.get("e2e_p50_ms")), optional=True),
    _Column("tok/s", lambda status: _number(status.get("completion_tokens_per_s"), ".1f"), optional=True),
)


def _table(columns: Sequence[_Column], statuses: Sequence[Status]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column.title, justify="left" if index < 2 else "right", no_wrap=True)
    for status in statuses:
        over = status is not statuses[-1]
        shown = {**status, "phase": "done"} if over else status
        table.add_row(*(Text(one_line(column.cell(shown))) for column in columns))
    return table


def _line(status: Status) -> str:
    ok, failed = _number(status.get("ok"), "d"), _number(status.get("failed"), "d")
    return (
        f"{status['step']}: {status.get('phase')} · {_number(status.get('users'), 'd')} users · {ok} ok, "
        f"{failed} failed · {_number(status.get('requests_per_minute'), '.1f')} req/min · "
        f"{_number(status.get('completion_tokens_per_s'), '.1f')} tokens/s · "
        f"TTFT {_latency(status.get('ttft_p50_ms'))} · E2E {_latency(status.get('e2e_p50_ms'))}"
    )


def deploy_reporter(label: str) -> OnProgress:
    """A progress callback that prints each new state; on a terminal, every state twice a minute."""
    last: list[tuple[str, int]] = []

    def report(progress: Progress) -> None:
        text = f"{progress.item.kind}: {progress}" if progress.is_deletion else str(progress)
        soon_over = progress.state == "deleting" and progress.elapsed_s < _DELETING_S
        reported = (text, int(progress.elapsed_s // _REMINDER_S) if status_console.is_terminal else 0)
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
    table = Table(
        title=_cut(f"{experiment['name']}, latencies at p50"), title_justify="left", box=None, pad_edge=False
    )
    for name, _ in _SUMMARY:
        table.add_column(name, justify="left" if name in ("trust", "SLO") else "right", no_wrap=True)
    for step in experiment["steps"]:
        table.add_row(*(Text(cell(step)) for _, cell in _SUMMARY))
    return table


def _ok_of_all(ok: int, failed: int) -> str:
    """``104``, or ``102/104`` where some failed."""
    return f"{ok}/{ok + failed}" if failed else str(ok)


def _latency(milliseconds: float | None, digits: int = 0) -> str:
    """``835 ms``, ``31.3 ms`` with a digit, ``3.25 s``."""
    if milliseconds is None:
        return "–"
    return f"{milliseconds / 1000:.2f} s" if milliseconds >= 1000 else f"{milliseconds:.{digits}f} ms"


def _slo(judged: dict[str, Any] | None) -> str:
    """``met``, ``missed`` or ``open``; an en dash where the plan has no objectives."""
    return str(judged["status"]) if judged and judged["objectives"] else "–"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
