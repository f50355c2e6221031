"""The table at a run's end: why a step that is cheapest is not the answer stands beside it."""

from pathlib import Path

from rich.console import Console

from analysis import make_report
from bench.benchmarks.synthetic_run import Deployed, Server, write_run
from bench.screen import summary_table


def shown(folder: Path, *objectives: dict[str, object], failing: float = 0.0) -> list[list[str]]:
    write_run(
        folder,
        (Deployed(measure_s=120, concurrency=(1, 8), server=Server(failing=failing)),),
        slo={"objectives": list(objectives), "error_rate": 0.01},
    )
    console = Console(width=80)
    with console.capture() as capture:
        console.print(summary_table(make_report(folder).summary["experiments"][0]))
    assert "…" not in capture.get(), "an ordinary terminal is wide enough"
    return [line.split() for line in capture.get().splitlines()[2:]]


def test_each_step_says_whether_it_meets_the_slo(tmp_path: Path):
    first, last = shown(tmp_path, {"metric": "ttft", "statistic": "p90", "limit_ms": 200.0})
    assert (first[0], first[2]) == ("1", "met")
    assert (last[0], last[2]) == ("8", "missed")


def test_without_limits_there_is_nothing_to_meet(tmp_path: Path):
    assert [row[2] for row in shown(tmp_path)] == ["–", "–"]


def test_of_how_many_is_said_where_some_failed(tmp_path: Path):
    ok, ended = shown(tmp_path, failing=0.1)[-1][3].split("/")
    assert 0 < int(ok) < int(ended)
