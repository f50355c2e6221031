"""Shows a run: a screen or plain lines for people, events for programs, all from the same states."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import RenderableType

from bench.display import words
from bench.display.changes import Change, LoadChanges
from bench.display.frame import frame
from bench.display.lines import PlainLines
from bench.display.screen import Screen, is_screen
from bench.json_lines import emit, is_on
from bench.live_page.run_view import RunView
from bench.terminal import deploy_reporter, print_status, status_console
from deploy.lifecycle.progress import OnProgress, Progress

_PROGRESS_S = 5.0
_REMINDER_S = 120.0
_PROGRESS_KEYS = (
    "experiment", "step", "ordinal", "steps_total", "phase", "phase_elapsed_s", "phase_total_s", "eta_s",
    "target", "rate", "turns_per_arrival", "users", "in_flight", "outcomes", "cost",
)  # fmt: skip
_FIGURES = (
    "requests_per_minute", "completion_tokens_per_s", "ttft_p50_ms", "ttft_p95_ms",
    "tpot_p50_ms", "tpot_p95_ms", "e2e_p50_ms", "e2e_p95_ms", "slo",
)  # fmt: skip


class RunDisplay:
    """Shows a run inside a with block.

    Args:
        view: how the run stands.
    """

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._changes = LoadChanges()
        self._emitted_at = float("-inf")
        drawn = is_screen(status_console) and not (is_on() and sys.stdout.isatty())
        self._screen = Screen(status_console, self._frame) if drawn else None
        self._lines = None if drawn else PlainLines(print_status)

    def __enter__(self) -> Self:
        if self._screen is not None:
            self._screen.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the screen away: what is printed next stays."""
        if self._screen is not None:
            self._screen.close()

    def _frame(self, width: int, height: int) -> RenderableType:
        run, now, loads = self._view.state(), time.time(), list(self._view.loads.values())
        load = loads.pop() if loads else None
        return frame(run, load, width=width, height=height, now=now, earlier=loads)

    def deployment(self, label: str) -> OnProgress:
        """What to call with the progress of a deployment and of its deletion; ``label`` begins its lines."""
        say = deploy_reporter(label, None if self._screen else _REMINDER_S)

        def take(progress: Progress) -> None:
            emit("resource", **progress.as_data())
            say(progress)

        return take

    def update(self, status: dict[str, Any]) -> None:
        """Take the content of ``status.json``."""
        load = status.get("live")
        if load is None:
            return
        self._view.take_load(load)
        changes = list(self._changes.of(load))
        if self._lines is not None:
            self._lines.update(load, changes)
        self._emit(load, changes)

    def _emit(self, load: dict[str, Any], changes: list[Change]) -> None:
        for change in changes:
            if change.kind == "step_ended":
                emit("step_ended", experiment=load["experiment"], **change.subject)
            elif change.kind == "search":
                path = {key: value for key, value in change.subject.items() if key != "probes"}
                emit("search", **path, probes=len(change.subject["probes"]))
        now = time.monotonic()
        if now - self._emitted_at > _PROGRESS_S or any(change.kind == "phase" for change in changes):
            self._emitted_at = now
            emit("progress", **progress_of(load))


def progress_of(load: dict[str, Any]) -> dict[str, Any]:
    """The state of a load for programs: where it is, and the figures of the current step."""
    step = words.current_step(load)
    figures = {key: None if step is None else step[key] for key in _FIGURES}
    workers = {worker["worker"]: worker["health"] for worker in load["workers"]}
    return {**{key: load[key] for key in _PROGRESS_KEYS}, **figures, "workers": workers}
