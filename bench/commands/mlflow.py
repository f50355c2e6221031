"""The command that logs a report to MLflow."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import yaml

from analysis import make_report
from analysis.render.mlflow_runs import logged_report
from analysis.render.summary_json import FORMAT
from bench.json_lines import conclude, json_option, say
from bench.mlflow_log import log_report
from bench.options import NonEmptyPath, NonEmptyText
from common.errors import UserError
from common.exit_codes import ExitCode
from runfolder.layout import LATEST, MANIFEST
from runfolder.manifest import Manifest, read_manifest

_LATEST = Path("results") / LATEST
_ARTIFACTS = ("report.html", "report.md", "summary.json", "summary.csv")


@click.command("mlflow")
@click.argument("folder", required=False, type=NonEmptyPath())
@click.option(
    "--uri",
    type=NonEmptyText(),
    envvar="MLFLOW_TRACKING_URI",
    metavar="URI|ARN",
    help="The server: http://…, or the ARN of one that SageMaker manages. Default: MLFLOW_TRACKING_URI.",
)
@click.option(
    "--experiment",
    type=NonEmptyText(),
    envvar="MLFLOW_EXPERIMENT_NAME",
    help="MLflow's experiment. Default: MLFLOW_EXPERIMENT_NAME, else the plan's name.",
)
@click.option("--replace", is_flag=True, help="Delete another report of the same run there.")
@json_option
def mlflow_command(folder: Path | None, *, uri: str | None, experiment: str | None, replace: bool) -> None:
    """Log the report of a run folder to MLflow.

    The default is results/latest.
    """
    if uri is None:
        raise UserError(
            "no MLflow server is named",
            "give --uri http://host:5000 or an ARN (URI= of make), or set MLFLOW_TRACKING_URI",
        )
    folder = folder or _LATEST
    summary, manifest = _report(folder)
    logged = log_report(
        logged_report(summary, manifest),
        [path for name in _ARTIFACTS if (path := folder / name).is_file()],
        {} if manifest is None else {"plan.yml": yaml.safe_dump(manifest.plan, sort_keys=False)},
        uri=uri,
        experiment=experiment or summary["run"]["plan"] or "llm-bench",
        replace=replace,
    )
    name = f"{summary['run']['id']} in MLflow's experiment {logged.experiment}"
    say(f"logged {name}" if logged.new else f"nothing to log: this report is {name}")
    say(logged.url or f"run {logged.run_id}")
    conclude(ExitCode.OK, mlflow=asdict(logged))


def _report(folder: Path) -> tuple[dict[str, Any], Manifest | None]:
    """The summary in a folder, made if there is none of this version, and the manifest of a run folder."""
    has_manifest = (folder / MANIFEST).is_file()
    try:
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        summary = {}
    if summary.get("format") != FORMAT:
        if summary and not has_manifest:
            raise UserError(
                f"{folder / 'summary.json'} has format {summary.get('format')}, not {FORMAT}",
                "make the report again",
            )
        summary = make_report(folder).summary
    try:
        return summary, read_manifest(folder) if has_manifest else None
    except ValueError as error:
        raise UserError(str(error)) from None


COMMANDS = {command.name: command for command in (mlflow_command,)}
