"""Locust without anything of ours in front: the locustfile of one endpoint, and locustfiles of users."""

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from analysis.report import measure_and_judge
from bench.calibration.probe import client_environment, truth_server
from tests.locustfiles.runs import DEADLINE_S, QUICK, rows_of

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "locustfiles/examples").glob("*.py"))


def play(folder: Path, *arguments: str) -> tuple[int, list[dict[str, str]], dict[tuple[str, str], int]]:
    """Exit code, rows of the truth server's log, and Locust's counts by type and name."""
    (folder / "prompts.jsonl").write_text(
        "".join(json.dumps({"prompt": f"Tell me of sea {n}."}) + "\n" for n in range(5)), encoding="utf-8"
    )
    with truth_server(folder, QUICK, None) as (url, served):
        environment = client_environment(url, None) | {"AWS_REGION": "us-east-1"}
        command = [sys.executable, "-m", "locust", *arguments, "--headless", "--only-summary"]
        command += ["--run-folder", "run", "--csv", "run/locust", "--host", url]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            timeout=DEADLINE_S,
            capture_output=True,
            text=True,
            check=False,
        )
    # Locust may fail to write its CSV files once more after it has closed them.
    assert "Traceback" not in done.stderr or "closed file" in done.stderr, done.stderr
    with served.open(newline="") as file:
        log = list(csv.DictReader(file))
    entries = rows_of(folder / "run/locust_stats.csv")
    return done.returncode, log, {(row["Type"], row["Name"]): int(row["Request Count"]) for row in entries}


@pytest.mark.e2e
def test_one_endpoint_needs_nothing_of_ours_in_front(tmp_path: Path) -> None:
    options = ["--endpoint", "sea", "--payload", "prompts.jsonl", "--schema", "tgi", "-u", "4", "-r", "20"]
    file = str(ROOT / "locustfiles/sagemaker.py")
    code, served, locust = play(tmp_path, "-f", file, *options, "-t", "2s", "--processes", "2")

    rows = rows_of(tmp_path / "run/requests.csv")
    assert code == 0
    assert rows
    assert {row["finish_reason"] for row in rows} == {f"n{row['number']}" for row in served}
    assert len(rows) == len(served)
    assert {row["outcome"] for row in rows} == {"ok"}
    assert {row["step"] for row in rows} == {"sea/u4"}
    assert locust["POST", "sea"] == locust["TTFT", "sea"] == len(rows)

    (experiment,) = measure_and_judge(tmp_path / "run").experiments
    (step,) = experiment.steps
    assert (experiment.name, step.concurrency, step.state) == ("sea", 4, "complete")
    assert step.window_counts.ok > 0
    assert step.reported_counts["started"] == len(rows)


@pytest.mark.e2e
def test_the_documented_locustfile_and_every_example_run_together(tmp_path: Path) -> None:
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/locust.md").read_text(encoding="utf-8"), re.DOTALL
    )
    own = tmp_path / "my_locustfile.py"
    own.write_text(code.replace("between(1, 3)", "between(0, 0)"), encoding="utf-8")
    files = ",".join(map(str, (own, *EXAMPLES)))
    _, served, locust = play(tmp_path, "-f", files, "--endpoint", "sea", "-u", "40", "-r", "100", "-t", "3s")

    rows = rows_of(tmp_path / "run/requests.csv")
    names = Counter(row["step"].rpartition("/")[0] for row in rows)
    assert names.keys() >= {
        "short", "story", "chat, turn 1", "chat, turn 2", "llama-8b-today", "embed", "answer", "classify",
    }  # fmt: skip
    assert {row["finish_reason"] for row in rows} <= {f"n{row['number']}" for row in served}
    assert len({row["finish_reason"] for row in rows}) == len(rows)
    assert locust["POST", "front page"] > 0
    assert {row["outcome"] for row in rows} == {"ok"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_fits_on_a_screen(example: Path) -> None:
    assert len(example.read_text(encoding="utf-8").splitlines()) < 40
