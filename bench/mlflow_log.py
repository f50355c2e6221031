"""Send a report to an MLflow tracking server, or to one that SageMaker manages, named by its ARN.

MLflow is an optional dependency. It is imported here, when it is asked for, and nowhere else.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from analysis.render.mlflow_runs import LoggedReport, LoggedRun
from common.errors import StartedError, UserError
from common.text import one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY, DIGEST, PARENT = "llm_bench.key", "llm_bench.digest", "mlflow.parentRunId"
_METRICS, _OTHERS = 1000, 100
"""How many metrics, and how many parameters or tags, a server takes at once."""
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own 7 make a wrong address a wait of minutes
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:mlflow-(tracking-server|app)/[\w-]+")
_REMEDY = "check the address (URI= of make, --uri of llm-bench), the network and the permissions"


@dataclass(frozen=True)
class Logged:
    """Where a report is in MLflow."""

    experiment: str
    run_id: str
    url: str | None
    """Of its page; None where the address of the server does not tell."""
    new: bool
    """False where the same report was there already."""


def log_report(
    report: LoggedReport,
    artifacts: Sequence[Path],
    texts: Mapping[str, str],
    *,
    uri: str,
    experiment: str,
    replace: bool = False,
) -> Logged:
    """Log a report as a run with a child per experiment. The same report is logged once.

    Args:
        report: what to log.
        artifacts: files to keep with it.
        texts: more files to keep, name → text.
        uri: ``http://…``, the ARN of a server that SageMaker manages, or another one that MLflow knows.
        experiment: the name of MLflow's experiment; it is made if there is none.
        replace: whether to delete another report of the run.

    Raises:
        UserError: MLflow is not installed, the server does not answer, or it has another report of the run.
        StartedError: the server refused a part. A run that is not complete is replaced next time.
    """
    client = _connect(uri)
    with _failures(uri, UserError):
        experiment_id = _experiment(client, experiment)
        found = client.search_runs([experiment_id], f"tags.`{KEY}` = '{report.key}'", max_results=1000)
    parents = [run for run in found if PARENT not in run.data.tags and DIGEST in run.data.tags]
    for run in parents:
        if run.data.tags[DIGEST] == report.digest:
            return Logged(experiment, run.info.run_id, _page(uri, run), new=False)
    if parents and not replace:
        raise UserError(
            f"{report.parent.name} is in {experiment} already, with other figures",
            "delete them with --replace (REPLACE=1 of make), or name another --experiment (EXPERIMENT=)",
        )
    with _failures(uri, StartedError):
        run = _send(client, experiment_id, report, artifacts, texts)
        for old in found:
            client.delete_run(old.info.run_id)
    return Logged(experiment, run.info.run_id, _page(uri, run), new=True)


def _connect(uri: str) -> "MlflowClient":
    if not uri.startswith("arn:") and "://" not in uri:  # MLflow would take it for a folder
        raise UserError(f"{uri} is not the address of a server", f"write http://{uri}, or https")
    _require("mlflow", "mlflow-skinny", "MLflow")
    if uri.startswith("arn:"):
        if not _ARN.fullmatch(uri):
            raise UserError(
                f"{uri} is not the ARN of an MLflow server",
                "give one like arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/name",
            )
        _require("sagemaker_mlflow", "sagemaker-mlflow", "MLflow's plugin for SageMaker")
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: PLC0415 - optional, and a second to import

    with _failures(uri, UserError):
        mlflow.set_tracking_uri(uri)  # the plugin signs for this address, whatever a client is made with
        return mlflow.MlflowClient()


def _require(module: str, package: str, name: str) -> None:
    if find_spec(module) is None:
        raise UserError(f"{name} is not installed", f"install it with `.venv/bin/pip install {package}`")


def _experiment(client: "MlflowClient", name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return client.create_experiment(name)
    if found.lifecycle_stage != "active":
        raise UserError(f"MLflow's experiment {name} is deleted", "restore it, or name another one")
    experiment_id: str = found.experiment_id
    return experiment_id


def _send(
    client: "MlflowClient",
    experiment_id: str,
    report: LoggedReport,
    artifacts: Sequence[Path],
    texts: Mapping[str, str],
) -> "Run":
    parent = _send_run(client, experiment_id, report, report.parent, {})
    for child in report.children:
        _send_run(client, experiment_id, report, child, {PARENT: parent.info.run_id})
    for path in artifacts:
        client.log_artifact(parent.info.run_id, str(path))
    for name, text in texts.items():
        client.log_text(parent.info.run_id, text, name)
    client.set_tag(parent.info.run_id, DIGEST, report.digest)  # last: it says that all of it is there
    return parent


def _send_run(
    client: "MlflowClient",
    experiment_id: str,
    report: LoggedReport,
    content: LoggedRun,
    tags: Mapping[str, str],
) -> "Run":
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - optional

    run = client.create_run(
        experiment_id, start_time=report.started_ms, tags={KEY: report.key, **tags}, run_name=content.name
    )
    at = report.ended_ms or int(1000 * time.time())
    metrics = [Metric(point.key, point.value, at, point.level) for point in content.points]
    params = [Param(*param) for param in content.params.items()]
    own_tags = [RunTag(*tag) for tag in content.tags.items()]
    for i in range(0, len(metrics), _METRICS):
        client.log_batch(run.info.run_id, metrics=metrics[i : i + _METRICS])
    for i in range(0, max(len(params), len(own_tags)), _OTHERS):
        batch = slice(i, i + _OTHERS)
        client.log_batch(run.info.run_id, params=params[batch], tags=own_tags[batch])
    client.set_terminated(run.info.run_id, report.status, report.ended_ms)
    return run


@contextmanager
def _failures(uri: str, kind: type[UserError]) -> Iterator[None]:
    """Report what MLflow and its plugin raise in one sentence."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - for the plugin
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - optional
    from requests import ConnectionError as NoConnection  # noqa: PLC0415 - MLflow's
    from requests import Timeout  # noqa: PLC0415 - MLflow's

    try:
        yield
    except (MlflowException, BotoCoreError, ClientError, OSError) as error:
        if any(isinstance(cause, NoConnection | Timeout) for cause in _causes(error)):
            raise kind(f"no MLflow server answers at {_shown(uri)}", _REMEDY) from None
        said = _shown(one_line(str(error)))
        raise kind(
            f"MLflow at {_shown(uri)} says: {said[:300]}{'…' if len(said) > 300 else ''}", _REMEDY
        ) from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _shown(text: str) -> str:
    """Text with addresses, without a name and a password in them."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def _page(uri: str, run: "Run") -> str | None:
    if urlsplit(uri).scheme not in ("http", "https"):
        return None
    return f"{_shown(uri).rstrip('/')}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
