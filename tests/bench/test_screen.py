"""The table at a run's end: why a step that is cheapest is not the answer stands beside it."""

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from analysis.report import measure_and_judge
from bench.terminal import LoadScreen, deploy_reporter, summary_table
from deploy.lifecycle.progress import Progress
from runfolder import layout
from tests.analysis.runs import summary_of
from tests.deploy.harness import items
from tests.support.synthetic_run import Deployed, Server, write_run


def status(index: int, /, **values: object) -> dict[str, object]:
    return {
        "experiment": "ml.g5.48xlarge/a-rather-long-label-of-a-payload_3000-4000",
        "step": f"ml.g5.48xlarge/a-rather-long-label-of-a-payload_3000-4000/c{2**index}",
        "ordinal": index + 1,
        "steps_total": 40,
        "phase": "measure",
        "phase_elapsed_s": 12.0,
        "phase_total_s": 42.0,
        "eta_s": 90.0,
        "in_flight": 2**index,
        "target": 2**index,
        "ok": 1_000 + index,
        "failed": index,
        "requests_per_minute": 1234.5,
        "completion_tokens_per_s": 9876.5,
        "ttft_p50_ms": 123.4,
        "e2e_p50_ms": 2345.6,
        **values,
    }


def screen_of(*statuses: dict[str, object], width: int = 80, height: int = 24) -> list[str]:
    terminal = Console(width=width, height=height, record=True, force_terminal=True, file=io.StringIO())
    screen = LoadScreen(terminal)
    for each in statuses:
        screen._rows[str(each["step"])] = each
    terminal.print(screen.render())
    lines = terminal.export_text().splitlines()
    assert len(lines) < height
    assert all(len(line) <= width for line in lines)
    return lines


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 10), (40, 8)])
@pytest.mark.parametrize("steps", [1, 3, 40])
def test_the_running_step_shows_its_concurrency_and_counts(steps: int, width: int, height: int) -> None:
    lines = screen_of(
        *(status(step % 17, step=f"x/y/c{step}") for step in range(steps)), width=width, height=height
    )
    last = next(line for line in reversed(lines) if line.startswith("c")).split()
    step = (steps - 1) % 17
    assert last[0] == f"c{steps - 1}"
    assert f"{2**step}/{2**step}" in last
    assert str(1_000 + step) in last
    assert any(line.startswith("measure 12 of 42 s") for line in lines)


def test_earlier_steps_are_summed_up_when_they_do_not_fit() -> None:
    lines = screen_of(*(status(step % 17, step=f"x/y/c{step}") for step in range(40)))
    assert any(line.startswith("… 23 earlier steps: ") for line in lines)
    assert len(screen_of(status(0), status(1))) < 10


@pytest.mark.parametrize("text", ["[/INST] </s> [bold", "\x1b[2J\x1b]0;owned\x07 gone", "two\nlines"])
def test_words_from_outside_are_shown_as_words(text: str) -> None:
    lines = screen_of(status(1, message=text, experiment=text, step=f"{text}/c1"))
    assert not any("\x1b" in line for line in lines)
    if "INST" in text:
        assert any("[/INST] </s> [bold" in line for line in lines)


def test_a_title_from_outside_is_no_markup() -> None:
    terminal = Console(width=80, record=True, file=io.StringIO())
    terminal.print(summary_table({"name": "ml.g5.xlarge/[/INST]", "steps": []}))
    assert "[/INST], latencies" in terminal.export_text()


def test_a_status_is_said_once_however_often_it_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    report = deploy_reporter("endpoint")
    item = items(1)[0]
    for elapsed_s in (0.1, 0.4, 0.9, 5.0):
        report(Progress(item, "status", "Creating", elapsed_s))
    report(Progress(item, "status", "InService", 6.0))
    report(Progress(item, "deleting", elapsed_s=0.1))  # over in a moment, so not worth a line
    report(Progress(item, "deleting", elapsed_s=6.0))
    report(Progress(item, "deletion_refused", "in use", 7.0, retry_until="12:30"))
    assert capsys.readouterr().err.splitlines() == [
        "endpoint: Creating after 0 s",
        "endpoint: InService after 6 s",
        "endpoint: endpoint: deleting after 6 s",
        "endpoint: endpoint: not deleted yet (in use); still retrying, until 12:30 after 7 s",
    ]


def shown(folder: Path, *objectives: dict[str, object], failing: float = 0.0) -> list[list[str]]:
    write_run(
        folder,
        (Deployed(measure_s=120, concurrency=(1, 8), server=Server(failing=failing)),),
        slo={"objectives": list(objectives), "error_rate": 0.01},
    )
    console = Console(width=80)
    with console.capture() as capture:
        console.print(summary_table(summary_of(measure_and_judge(folder))["experiments"][0]))
    assert "…" not in capture.get(), "an ordinary terminal is wide enough"
    return [line.split() for line in capture.get().splitlines()[2:]]


def test_each_step_says_whether_it_meets_the_slo(tmp_path: Path) -> None:
    first, last = shown(tmp_path, {"metric": "ttft", "statistic": "p90", "limit_ms": 200.0})
    assert (first[0], first[2]) == ("1", "met")
    assert (last[0], last[2]) == ("8", "missed")


def test_without_limits_there_is_nothing_to_meet(tmp_path: Path) -> None:
    assert [row[2] for row in shown(tmp_path)] == ["–", "–"]


def test_of_how_many_is_said_where_some_failed(tmp_path: Path) -> None:
    ok, ended = shown(tmp_path, failing=0.1)[-1][3].split("/")
    assert 0 < int(ok) < int(ended)


@pytest.mark.parametrize(
    ("levels", "shown_as"), [((2, 8), "2 to 8"), ((2, 2), "2")], ids=["a ramp", "a level"]
)
def test_a_ramp_of_users_is_no_unsteady_level(tmp_path: Path, levels: tuple[int, int], shown_as: str) -> None:
    """Its throughput rises by design, and its users are those of no single level."""
    write_run(tmp_path, (Deployed(measure_s=120, concurrency=(8,)),))
    steps = pd.read_csv(tmp_path / layout.STEPS)
    steps["concurrency"], steps["piece"], steps["ramp_from"], steps["ramp_to"] = (
        sum(levels) // 2,
        1,
        *levels,
    )
    steps.to_csv(tmp_path / layout.STEPS, index=False)
    step = summary_of(measure_and_judge(tmp_path))["experiments"][0]["steps"][0]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(summary_table({"name": "x", "steps": [step]}))
    assert capture.get().splitlines()[2].lstrip().startswith(f"{shown_as}  ")
    judged = {reason["code"] for reason in step["trust"]["reasons"]}
    assert ("impossible_little" in judged) == (shown_as == "2")
