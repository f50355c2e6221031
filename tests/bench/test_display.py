"""The screen and the plain lines of a run, from states that the master's own code made."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.display.changes import LoadChanges
from bench.display.frame import frame
from bench.display.lines import PlainLines
from bench.display.run_display import progress_of
from bench.monitoring.points import Facts, of_load, target_requests
from tests.bench.live_states import NAME, START, load_state, run_state

SIZES = [(80, 24), (120, 40), (60, 10), (40, 8)]
SEARCH = {
    "search": {"over": "concurrency", "from": 1, "to": 64},
    "warm_up": 5,
    "measure": 40,
}
SEARCH_PATH = {
    "met": 1.0, "met_surely": True, "missed": None, "missed_surely": False, "out_of_reach": None,
    "lowest": 1.0, "highest": 64.0, "at_most_s": 120.0, "spent_s": 24.6, "end": None,
}  # fmt: skip
ADAPTIVE = {
    "concurrency": [1, 2, 3],
    "warm_up": 5,
    "measure": {"until": "5%", "of": "e2e_p95", "at_most": "40s", "at_least": "20s"},
}


def screen_of(
    run: dict[str, Any], load: dict[str, Any] | None, width: int = 80, height: int = 24
) -> list[str]:
    """The lines of a frame as a terminal shows them."""
    terminal = Console(width=width, height=height, record=True, force_terminal=True, file=io.StringIO())
    terminal.print(frame(run, load, width=width, height=height - 1, now=START + 100))
    lines = terminal.export_text().splitlines()
    assert len(lines) < height, "one line is left for the cursor"
    assert all(len(line) <= width for line in lines)
    return lines


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("played", [3, 26])
def test_the_current_step_is_visible_in_every_terminal(
    tmp_path: Path, played: int, width: int, height: int
) -> None:
    load = load_state(tmp_path, played=played)
    lines = screen_of(run_state(), load, width, height)
    where = next(line for line in lines if f"step {played} of 26" in line)
    assert width < 60 or "measuring 12 of 40 s" in where
    row = next(line for line in reversed(lines) if " measure " in line).split()
    assert str(played) in row
    assert "130" in row or "129" in row, "its answers so far"


@pytest.mark.parametrize(("width", "height"), SIZES[:2])
@pytest.mark.parametrize("played", [3, 26])
def test_an_ordinary_terminal_shows_everything_that_costs_or_fails(
    tmp_path: Path, played: int, width: int, height: int
) -> None:
    text = "\n".join(screen_of(run_state(), load_state(tmp_path, played=played), width, height))
    for fact in (
        NAME,
        "endpoint bench-a-plan",
        "in flight",
        "output tokens/s",
        "TTFT p50",
        "SLO p95 ≤ 230 ms",
        "TPOT p50",
        "E2E  p50",
        "so far, at most $12.50 expected, limit $40.00",
        "client ok: CPU 41%, reading delay p99 1.20 ms",
    ):
        assert fact in text, text
    assert ("missed" in text) == (played == 26)
    if played == 26:
        assert "throttled: ThrottlingException: Rate exceeded [/INST]" in text
        assert ("earlier steps: " in text) == (height == 24), "40 lines hold all of them"


def test_a_deployment_says_what_it_waits_for() -> None:
    waiting = {
        "kind": "endpoint",
        "name": "bench-x",
        "detail": "Creating",
        "since": START,
        "usual_s": 420.0,
        "retry_until": None,
    }
    run = run_state(stage="deploy", resources=[{**waiting, "state": "status"}])
    text = "\n".join(screen_of(run, None))
    assert "deploying ml.g5.48xlarge, for 100 s" in text or "deploying ml.g5.48xlarge, for 1 min 40 s" in text
    assert "endpoint bench-x: Creating for 1 min 40 s, usually 7 min" in text
    assert "cost $1.25 so far" in text


@pytest.mark.parametrize("text", ["[/INST] </s> [bold", "\x1b[2J\x1b]0;owned\x07 gone", "two\nlines"])
def test_words_from_outside_are_shown_as_words(tmp_path: Path, text: str) -> None:
    load = load_state(tmp_path, played=3) | {"message": text, "experiment": text, "endpoint": text}
    lines = screen_of(run_state(problems=[text], plan=text), load)
    assert not any("\x1b" in line for line in lines)
    if "INST" in text:
        assert any("[/INST] </s> [bold" in line for line in lines)


def test_an_adaptive_measurement_says_how_well_its_figure_is_known(tmp_path: Path) -> None:
    load = load_state(tmp_path, played=2, load=ADAPTIVE)
    load["until"]["reach"] = 0.083
    text = "\n".join(screen_of(run_state(), load))
    assert "measuring 12 of at most 40 s" in text
    assert "E2E p95 known to ±8.3%, ±5% is asked for" in text


def test_a_step_that_is_over_has_its_verdict_while_the_last_requests_end(tmp_path: Path) -> None:
    load = load_state(tmp_path, played=2) | {"phase": "drain"}
    load["steps"][-1] |= {"ended_at": START + 90, "state": "complete"}
    said: list[str] = []
    PlainLines(said.append).update(load, list(LoadChanges().of(load)))
    assert f"{NAME} step 2 of 26, concurrency 2: met · 130 ok" in "\n".join(said)


def test_a_rate_of_conversations_is_not_called_one_of_requests(tmp_path: Path) -> None:
    load = load_state(tmp_path, played=2, load={"rate": [1, 3], "warm_up": 5, "measure": 40}, turns=4.0)
    text = "\n".join(screen_of(run_state(), load, 120, 40))
    assert "3 conversations/s: measuring" in text
    assert "requests/s at 3 conversations/s, 0 in flight" in text
    facts = Facts(run_state(), [load])
    (target,) = of_load(target_requests)(facts)
    assert target.value == 12.0


def test_plain_lines_tell_a_verdict_of_a_search_once(tmp_path: Path) -> None:
    """Not when it begins, and not again while the step that is judged still runs."""
    load = load_state(tmp_path, played=1, load={**SEARCH, "concurrency": None})
    said: list[str] = []
    lines, changes = PlainLines(said.append), LoadChanges()
    for verdict, running in ((None, True), ("met", True), ("met", False), ("met", False)):
        probe = {"step": "c1", "level": 1.0, "verdict": verdict, "running": running}
        lines.update(load | {"search_path": SEARCH_PATH | {"probes": [probe]}}, [])
        told = changes.of(load | {"search_path": SEARCH_PATH | {"probes": [probe]}})
        lines.update(load, [change for change in told if change.kind == "search"])
    assert said == ["search: met at 1; 24.6 s of at most 2 min 00 s of load"]


def test_plain_lines_tell_each_end_and_each_error_once(tmp_path: Path) -> None:
    said: list[str] = []
    clock = [0.0]
    lines, changes = PlainLines(said.append, lambda: clock[0]), LoadChanges()
    for played in (4, 4, 5):
        (folder := tmp_path / f"{len(said)}{played}").mkdir()
        load = load_state(folder, played=played)
        lines.update(load, list(changes.of(load)))
    ends = [line for line in said if " ok, " in line]
    assert [line.split(": ")[0] for line in ends] == [
        f"{NAME} step {n} of 26, concurrency {n}" for n in (1, 2, 3, 4)
    ]
    assert len([line for line in said if line.startswith("error throttled: ")]) == 1
    quiet = len(said)
    clock[0] = 61.0
    lines.update(load, [])
    assert len(said) == quiet + 1, "a reminder once a minute"
    assert "measuring 12 of 40 s" in said[-1]


def test_programs_get_the_figures_of_the_current_step(tmp_path: Path) -> None:
    load = load_state(tmp_path, played=3)
    told = progress_of(load)
    step = load["steps"][2]
    assert (told["ordinal"], told["steps_total"], told["phase"]) == (3, 26, "measure")
    assert told["ttft_p95_ms"] == step["ttft_p95_ms"] == 130.0
    assert told["workers"] == {"w0": "ok"}
