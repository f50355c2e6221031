"""Lines about a deployment, and the table at a run's end."""

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from analysis.report import measure_and_judge
from bench import terminal
from bench.terminal import deploy_reporter, summary_table
from deploy.lifecycle.progress import Progress
from runfolder import layout
from tests.analysis.runs import summary_of
from tests.deploy.harness import items
from tests.support.synthetic_run import Deployed, Server, write_run


def test_a_title_from_outside_is_no_markup() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table({"name": "ml.g5.xlarge/[/INST]", "steps": []}))
    assert "[/INST], latencies" in console.export_text()


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


@pytest.mark.parametrize("is_terminal", [True, False])
def test_an_answer_is_wrapped_between_words_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    path = f"/results/{'a' * 50}/report.html"
    text = f"Use ml.g5.xlarge at concurrency 4: it is the cheapest choice.\n\nreport: {path}"
    console = Console(
        width=40, file=io.StringIO(), force_terminal=is_terminal, highlight=False, soft_wrap=True
    )
    monkeypatch.setattr(terminal, "result_console", console)
    with console.capture() as capture:
        terminal.print_sentences(text)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    if is_terminal:
        assert lines == [
            "Use ml.g5.xlarge at concurrency 4: it is",
            "the cheapest choice.",
            "",
            "report:",
            path,
        ]
    else:
        assert "\n".join(lines) == text


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
