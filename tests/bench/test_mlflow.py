"""`llm-bench mlflow`, with MLflow's own client and store: what is logged, once, and what is refused."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from analysis.report import measure_and_judge
from bench.commands.mlflow import mlflow_command
from bench.mlflow_log import PARENT
from common.errors import StartedError, UserError
from tests.analysis.runs import SLO, summary_of
from tests.support.synthetic_run import Deployed, write_run

if TYPE_CHECKING:
    from mlflow.entities import Run

ARN = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/mine"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store in files: the only one of MLflow's client that needs no server."""
    uri = (tmp_path / "store").as_uri()
    for name, value in {
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_TRACKING_URI": uri,  # the client changes it; the fixture restores it
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }.items():
        monkeypatch.setenv(name, value)
    return uri


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with its summary."""
    run = tmp_path / "run"
    write_run(run, (Deployed(measure_s=120, concurrency=(2, 4)),), slo=SLO)
    summarize(run)
    return run


def summarize(run: Path, **changed: object) -> None:
    summary = summary_of(measure_and_judge(run)) | changed
    (run / "summary.json").write_text(json.dumps(summary))


def log(folder: Path, *options: str) -> str:
    """What the command prints. Raises what it raises."""
    done = CliRunner().invoke(
        mlflow_command, [str(folder), *options], standalone_mode=False, catch_exceptions=False
    )
    return done.output


def runs(uri: str) -> "tuple[Any, list[Run], list[Run]]":
    """The client, the parents and the children in the store that are not deleted."""
    from mlflow import MlflowClient  # noqa: PLC0415 - after its settings

    client = MlflowClient(uri)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    found = list(client.search_runs(ids))
    return (
        client,
        [run for run in found if PARENT not in run.data.tags],
        [run for run in found if PARENT in run.data.tags],
    )


def test_a_report_is_a_run_with_a_child_per_experiment(folder: Path, store: str) -> None:
    assert "logged run in MLflow's experiment synthetic" in log(folder)
    client, [parent], [child] = runs(store)
    assert (parent.info.run_name, parent.info.status) == ("run", "FINISHED")
    assert child.data.tags[PARENT] == parent.info.run_id
    assert (child.data.params["instance_type"], child.data.params["usd_per_hour"]) == (
        "ml.g5.xlarge",
        "1.4084",
    )
    steps = json.loads((folder / "summary.json").read_text())["experiments"][0]["steps"]
    history = client.get_metric_history(child.info.run_id, "ttft_ms_p50")
    assert {(point.step, point.value) for point in history} == {
        (step["concurrency"], step["ttft_ms"]["p50"]) for step in steps
    }
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["plan.yml", "summary.json"]


def test_another_report_of_a_run_replaces_the_first_only_on_request(folder: Path, store: str) -> None:
    log(folder)
    _, [first], _ = runs(store)
    assert "nothing to log" in log(folder)
    summarize(folder, answer="Use another one.")
    with pytest.raises(UserError, match=r"run is in synthetic already, with other figures; .*--replace"):
        log(folder)
    _, [kept], _ = runs(store)
    assert kept.info.run_id == first.info.run_id
    log(folder, "--replace")
    _, [parent], [child] = runs(store)
    assert parent.data.tags["answer"] == "Use another one."
    assert child.data.tags[PARENT] == parent.info.run_id


def test_a_run_that_was_not_logged_to_its_end_is_replaced(folder: Path, store: str) -> None:
    from mlflow import MlflowClient  # noqa: PLC0415 - after its settings

    def full(*_: object) -> None:
        raise OSError("no space left")

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(MlflowClient, "log_text", full)
        with pytest.raises(StartedError, match="no space left"):
            log(folder)
    assert "logged run" in log(folder)
    _, parents, children = runs(store)
    assert (len(parents), len(children)) == (1, 1)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("uri", "missing", "message"),
    [
        ("http://127.0.0.1:9", None, "no MLflow server answers at http://127.0.0.1:9;"),
        ("http://me:secret@127.0.0.1:9", None, "no MLflow server answers at http://127.0.0.1:9;"),
        ("arn:aws:sagemaker:us-east-1:mine", None, "is not the ARN of an MLflow server"),
        ("127.0.0.1:9", None, "127.0.0.1:9 is not the address of a server; write http://127.0.0.1:9"),
        (ARN, "sagemaker_mlflow", "`.venv/bin/pip install sagemaker-mlflow`"),
        ("http://127.0.0.1:9", "mlflow", "`.venv/bin/pip install mlflow-skinny`"),
    ],
)
def test_what_cannot_be_logged_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, uri: str, missing: str | None, message: str
) -> None:
    if missing is not None:
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError) as refused:
        log(folder, "--uri", uri)
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_without_a_server_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UserError, match="no MLflow server is named"):
        log(Path("no/such/folder"))
