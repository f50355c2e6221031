"""A run as plain lines: where there is no terminal, with ``NO_COLOR``, and in CI."""

import time
from collections.abc import Callable

from bench.display import words
from bench.display.changes import Change
from bench.display.words import Data
from common.formatting import milliseconds, number
from common.text import one_line

_REMINDER_S = 60.0
_TOLD_PHASES = ("measure", "drain")
"""Phases that are worth a line: the others take seconds, and the reminder tells of one that takes longer."""


class PlainLines:
    """Says what has changed, and once a minute how things are.

    Args:
        say: prints a line.
        monotonic: the time in seconds.
    """

    def __init__(self, say: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._monotonic = monotonic
        self._said_at = monotonic()

    def update(self, load: Data, changes: list[Change]) -> None:
        """Tell the state of a load, and what has changed in it."""
        lines = [line for change in changes if (line := _line(change, load))]
        if not lines and self._monotonic() - self._said_at > _REMINDER_S:
            lines = [_reminder(load)]
        for line in lines:
            self._say(one_line(line))
            self._said_at = self._monotonic()


def _line(change: Change, load: Data) -> str | None:
    subject = change.subject
    match change.kind:
        case "step_ended":
            return f"{_name(subject, load)}: {words.verdict(subject, load)} · {_figures(subject)}"
        case "error":
            return f"error {subject['class']}: {subject['example']}"
        case "search":  # the search itself says why it ends
            return None if subject["end"] else words.search_state(subject)
        case _:
            if load["phase"] not in _TOLD_PHASES:
                return None
            left = "" if load["eta_s"] is None else f", about {words.seconds(load['eta_s'])} left"
            phase = words.PHASES[load["phase"]]
            return f"{_name(subject, load)}: {phase}{left} · cost {words.cost(load['cost'])}"


def _name(step: Data, load: Data) -> str:
    number_of = {**load, "ordinal": step["ordinal"]}
    return f"{load['experiment']} {words.place(number_of)}, {words.level_name(step)}"


def _figures(step: Data) -> str:
    latencies = []
    for name in ("ttft", "tpot", "e2e"):
        p50, p95 = (milliseconds(step[f"{name}_{p}_ms"]) for p in ("p50", "p95"))
        latencies.append(f"{name.upper()} p50 {p50}, p95 {p95}")
    reasons = [step["reasons"]] if step["reasons"] else []
    counts = f"{words.answers(step)} ok, {step['failed']} failed"
    rates = f"{number(step['requests_per_minute'])} requests/min"
    tokens = f"{number(step['completion_tokens_per_s'])} tokens/s"
    return " · ".join([counts, rates, tokens, *latencies, *reasons])


def _reminder(load: Data) -> str:
    step = words.current_step(load)
    name = load["experiment"] if step is None else _name(step, load)
    return (
        f"{name}: {words.phase_time(load)} · {words.achieved(load, step)} · {words.failures(load)} · "
        f"cost {words.cost(load['cost'])} · {words.clients(load)}"
    )
