"""Locust without anything of ours in front: the locustfile of one endpoint, and locustfiles of users."""

import csv
import json
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from analysis.report import measure_and_judge
from bench.calibration.probe import client_environment, truth_server
from tests.locustfiles.runs import DEADLINE_S, QUICK, rows_of
from tests.locustfiles.test_truth import check_truth
from tests.support.polling import eventually

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "locustfiles/examples").glob("*.py"))


def play(
    folder: Path, *arguments: str, form: dict[str, str] | None = None
) -> tuple[int, list[dict[str, str]], dict[tuple[str, str], int]]:
    """Exit code, rows of the truth server's log, and Locust's counts by type and name.

    With a ``form``, it is sent to Locust's web page, and Locust ends once the test is over.
    """
    (folder / "prompts.jsonl").write_text(
        "".join(json.dumps({"prompt": f"Tell me of sea {n}."}) + "\n" for n in range(5)), encoding="utf-8"
    )
    with truth_server(folder, QUICK, None) as (url, served):
        environment = client_environment(url, None) | {"AWS_REGION": "us-east-1"}
        command = [sys.executable, "-m", "locust", *arguments, "--only-summary"]
        command += ["--run-folder", "run", "--csv", "run/locust", "--host", url]
        command += ["--headless"] if form is None else ["--web-host", "127.0.0.1"]
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as locust:
            try:
                if form is not None:
                    swarm(f"http://127.0.0.1:{arguments[arguments.index('--web-port') + 1]}", form)
                    locust.send_signal(signal.SIGTERM)
                _, said = locust.communicate(timeout=DEADLINE_S)
            finally:
                locust.kill()
    # Locust may fail to write its CSV files once more after it has closed them.
    assert "Traceback" not in said or "closed file" in said, said
    with served.open(newline="") as file:
        log = list(csv.DictReader(file))
    entries = rows_of(folder / "run/locust_stats.csv")
    rows = rows_of(folder / "run/requests.csv")
    assert {row["inference_id"]: row["finish_reason"] for row in rows} == {
        row["inference_id"]: f"n{row['number']}"
        for row in log
        if row["inference_id"]  # an HttpUser has none
    }
    return locust.returncode, log, {(row["Type"], row["Name"]): int(row["Request Count"]) for row in entries}


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
    frame = pd.read_csv(tmp_path / "run/requests.csv")
    frame["number"] = frame["finish_reason"].str[1:].astype(int)
    check_truth(frame.merge(pd.read_csv(tmp_path / "truth.csv"), on="number"), QUICK)
    assert {row["step"] for row in rows} == {"sea/u4"}
    assert locust["POST", "sea"] == locust["TTFT", "sea"] == len(rows)

    (experiment,) = measure_and_judge(tmp_path / "run").experiments
    (step,) = experiment.steps
    assert (experiment.name, step.concurrency, step.state) == ("sea", 4, "complete")
    assert step.window_counts.ok > 0
    assert step.reported_counts["started"] == len(rows)


def swarm(page: str, form: dict[str, str]) -> None:
    """Send Locust's form, and wait for the end of the test."""
    assert eventually(lambda: answers(page))
    sent = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(f"{page}/swarm", sent) as answer:  # noqa: S310 - HTTP
        assert json.load(answer)["success"]
    assert eventually(lambda: state(page) == "stopped")


def answers(page: str) -> bool:
    try:
        return bool(state(page))
    except OSError:
        return False


def state(page: str) -> str:
    with urllib.request.urlopen(f"{page}/stats/requests") as answer:  # noqa: S310 - HTTP
        return str(json.load(answer)["state"])


@pytest.mark.e2e
def test_the_web_form_offers_our_shapes(tmp_path: Path, free_port: int) -> None:
    options = ["--endpoint", "sea", "--payload", "prompts.jsonl", "--schema", "tgi", "--class-picker"]
    form = {"user_count": "4", "spawn_rate": "50", "run_time": "6s"}
    form |= {"user_classes": "EndpointUser", "shape_class": "Doubling"}
    file = str(ROOT / "locustfiles/sagemaker.py")
    _, served, locust = play(tmp_path, "-f", file, *options, "--web-port", str(free_port), form=form)

    rows = rows_of(tmp_path / "run/requests.csv")
    assert len(rows) == len(served) == locust["POST", "sea"]
    assert list(dict.fromkeys(row["step"] for row in rows)) == ["sea/u1", "sea/u2", "sea/u4"]
    (experiment,) = measure_and_judge(tmp_path / "run").experiments
    assert [step.concurrency for step in experiment.steps] == [1, 2, 4]


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
        "open session",
    }  # fmt: skip
    assert {row["finish_reason"] for row in rows} <= {f"n{row['number']}" for row in served}
    assert len({row["finish_reason"] for row in rows}) == len(rows)
    assert locust["POST", "front page"] > 0
    assert {row["outcome"] for row in rows} == {"ok"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_fits_on_a_screen(example: Path) -> None:
    assert len(example.read_text(encoding="utf-8").splitlines()) < 40
