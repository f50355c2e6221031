"""Which requests CloudWatch is waited for: those that a container may have seen."""

from pathlib import Path

import pytest

from bench.cloudwatch import collect_cloudwatch
from deploy.aws.clients import Clients
from deploy.aws.cloudwatch import MetricSource
from runfolder.manifest import ExperimentEntry, Manifest


def collected(folder: Path, classes: list[str], monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The invocations that are expected of a step with one ok request and failures of these classes."""
    rows = "".join(f"e/c1,{name}\n" for name in ["", *classes])
    head = "step,error_class,outcome,elapsed_ms,session_open_ms,session_close_ms,session_id\n"
    (folder / "requests.csv").write_text(head + rows)
    (folder / "steps.csv").write_text(
        f"step,experiment,ordinal,concurrency,started\ne/c1,e,1,1,{1 + len(classes)}\n"
    )
    entry = ExperimentEntry(
        name="e", model="m", instance_type="ml.g5.xlarge", payload="p", payload_file="p.jsonl",
        endpoint_name="bench", load_started_at=1.0, load_ended_at=2.0,
    )  # fmt: skip
    expected: list[int | None] = []

    def collect_metrics(
        _folder: Path,
        _name: str,
        _source: MetricSource,
        _clients: Clients,
        *,
        expected_invocations: int,
        **_: float,
    ) -> None:
        expected.append(expected_invocations)

    monkeypatch.setattr("bench.cloudwatch.collect_metrics", collect_metrics)
    manifest = Manifest(run_id="r", plan={}, started_at=0.0, experiments=[entry])
    collect_cloudwatch(folder, manifest, None)  # type: ignore[arg-type]  # nobody is asked
    return expected


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([], [1]),
        (["model_5xx", "model_timeout", "in_stream", "client_timeout"], [5]),
        (["throttled", "not_ready", "auth", "validation", "service", "predecessor"], [1]),
        ([",censored,0.0", ",withheld,", ",censored,31.5"], [2]),
        ([",ok,900.0,6.0,,a-1", ",ok,900.0,,7.0,a-1"], [5]),
        (["session,failed,8.0,6.0", ",censored,90.0,90.0", "auth,failed,8.0,6.0"], [1]),
    ],
)
def test_requests_that_were_refused_are_not_waited_for(
    classes: list[str], expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert collected(tmp_path, classes, monkeypatch) == expected
