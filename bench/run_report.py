"""The report of a run, while its endpoints are deleted and at its end."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.json_lines import add_to_result
from bench.terminal import print_sentences, print_status, result_console, summary_table
from common.errors import StartedError, UserError

if TYPE_CHECKING:
    from analysis import Report


def report_data(report: "Report") -> dict[str, Any]:
    """A report for programs: the answer as sentences and as data, its warnings, and where everything is."""
    summary = report.summary
    paths = {path.name: str(path) for path in report.files}
    return {
        "run": summary["run"]["id"],
        "state": summary["run"]["state"],
        "answer": report.answer.splitlines(),
        "choices": summary["choices"],
        "warnings": report.warnings,
        "paths": {"report": paths["report.html"], "summary": paths["summary.json"]}
        | ({} if report.aiperf is None else {"aiperf": str(report.aiperf)}),
    }


def report_so_far(folder: Path) -> None:
    """Write the report while AWS deletes, for users who do not wait for the deletion. Never raises."""
    from analysis import make_report  # noqa: PLC0415 - mistakes are reported before pandas is imported

    try:
        make_report(folder)
    except Exception as error:  # noqa: BLE001 - no report may stop a deletion; the last one raises
        print_status(f"no report yet ({error}); it is made again after the deletion")
    else:
        print_status(f"report so far: {folder / 'report.html'} (made again after the deletion)")


def final_report(folder: Path) -> bool:
    """Write the report and print its tables and its answer.

    Returns:
        Whether any step has figures to rely on.

    Raises:
        StartedError: the report cannot be made; what was measured is kept.
    """
    from analysis import make_report  # noqa: PLC0415 - mistakes are reported before pandas is imported

    try:
        report = make_report(folder)
    except BaseException as error:
        remedy = f"what was measured is kept: `make report RUN={folder}` makes the report from it"
        if isinstance(error, UserError):
            raise StartedError(str(error), remedy) from None
        print_status(remedy)
        raise
    add_to_result(**report_data(report))
    experiments = report.summary["experiments"]
    for experiment in experiments:
        result_console.print("", summary_table(experiment), sep="\n")
    print_sentences(f"\n{report.answer}\n\nreport: {folder / 'report.html'}")
    steps = [step for experiment in experiments for step in experiment["steps"]]
    return any(step["trust"]["level"] != "void" for step in steps)
